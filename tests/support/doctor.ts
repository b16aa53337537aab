// Runs the command `doctor` as a user would.
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { JWT_SECRET, MAIN, runMain } from './service.ts'

export interface Finding {
  check: string
  level: 'ok' | 'warning' | 'problem' | 'skipped'
  found: string
  fix?: string
}

export interface Report {
  code: number | null
  findings: Finding[]
  /** All that was printed. */
  output: string
  /** The first finding of this name. */
  of: (check: string) => Finding | undefined
}

export async function print(env: Record<string, string>, words: string[] = [], preparation = '') {
  const settings = { JWT_SECRET, SERVER_HOST: '127.0.0.1', SERVER_PORT: '0', LISTENERS: '1' }
  const command = await runMain({ ...settings, ...env }, ['doctor', ...words], MAIN, preparation)
  const stdout = command.child.stdout ? await text(command.child.stdout) : ''
  const { code } = await command.exited
  return { code, stdout, stderr: command.stderr() }
}

export async function examine(env: Record<string, string>, preparation = ''): Promise<Report> {
  const { code, stdout, stderr } = await print(env, ['--json'], preparation)
  const { ok, findings }: { ok: boolean; findings: Finding[] } = JSON.parse(stdout)
  expect(code).toBe(ok ? 0 : 1)
  const of = (check: string) => findings.find((each) => each.check === check)
  return { code, findings, output: stdout + stderr, of }
}
