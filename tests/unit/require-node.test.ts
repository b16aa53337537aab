import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const FILE = fileURLToPath(new URL('../../build/require-node.cjs', import.meta.url))
const MANIFEST = fileURLToPath(new URL('../../package.json', import.meta.url))

/** Runs the check as an npm script does, for a version in place of the running one. */
function requireNode(args: readonly string[], script = 'prebench'): Promise<[number, string]> {
  const env = { ...process.env, npm_lifecycle_event: script }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { env }, (_error, stdout, stderr) => {
      resolve([child.exitCode ?? -1, stdout + stderr])
    })
  })
}

test.each(['18.20.8', '20.19.5', '21.7.3', '22.0.0', '22.17.1', '9.11.2'])(
  'Node %s is too old: one line says what is needed',
  async (version) => {
    expect(await requireNode([FILE, version])).toEqual([
      1,
      `taskapi needs Node 22.18 or newer, and this is ${version}: npx -y -p node@22 -c "npm ci && npm run bench"\n`,
    ])
  },
)

test.each(['22.18.0', '22.100.0', '23.6.0', '24.0.0', '100.0.0'])(
  'Node %s is new enough',
  async (version) => {
    expect(await requireNode([FILE, version])).toEqual([0, ''])
  },
)

test('the running Node is the one that is checked', async () => {
  expect(await requireNode([FILE])).toEqual([0, ''])
})

test('a Node that does not run TypeScript is refused whatever its version', async () => {
  const [code, text] = await requireNode(['--no-experimental-strip-types', FILE], 'start')
  expect(code).toBe(1)
  expect(text).toMatch(/^taskapi needs Node 22\.18 or newer, .* "npm ci && npm run start"\n$/)
})

test('every script is preceded by the check', () => {
  const { scripts } = JSON.parse(readFileSync(MANIFEST, 'utf8')) as {
    scripts: Record<string, string>
  }
  const names = Object.keys(scripts).filter((name) => !name.startsWith('pre'))
  expect(names).toContain('start')
  for (const name of names) {
    expect(scripts[`pre${name}`]).toMatch(/^node build\/require-node\.cjs($| && )/)
  }
  expect(scripts.pretest).toMatch(/ && npm run check && npm run lint$/)
})
