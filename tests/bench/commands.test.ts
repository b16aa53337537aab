import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const COMMANDS = ['run', 'compare', 'tune', 'profile', 'growth', 'build-peers']

interface Ending {
  code: number
  stdout: string
  stderr: string
}

function runCommand(name: string, args: readonly string[]): Promise<Ending> {
  const file = fileURLToPath(new URL(`../../bench/${name}.ts`, import.meta.url))
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file, ...args], (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr })
    })
  })
}

test.each([
  ['compare', 'HEAD HEAD --rounds abc', '--rounds'],
  ['compare', 'HEAD no-such-ref', 'Git knows no such commit'],
  ['run', '--servers taskapi,nobody', '"nobody"'],
  ['run', '--target http://localhost:1 --servers taskapi', '--servers'],
  ['tune', 'nobody POOL_SIZE=4', 'nobody'],
  ['tune', 'axum POOL_SIZE', 'NAME=VALUE'],
  ['tune', 'axum POOL_SIZE=4 GOGC=100', 'axum has no setting GOGC'],
  ['profile', '--output package.json', '--output'],
  ['growth', '--tasks 5', '--tasks'],
  ['build-peers', '--servers nobody', '"nobody"'],
])('%s %s is refused before anything starts', async (name, line, reason) => {
  const { code, stdout, stderr } = await runCommand(name, line.split(' '))
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: /)
  expect(stderr.split('\n')[0]).toContain(reason)
  expect(stderr.trimEnd().split('\n')).toHaveLength(2)
})

test.each(COMMANDS)('%s --help explains its options and does nothing else', async (name) => {
  const { code, stdout, stderr } = await runCommand(name, ['--help'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^Usage: npm run bench/)
  expect(stderr).toBe('')
})
