// pgbench as a row among the servers: the same single statements without HTTP, JSON and batches. It shows how
// many of them PostgreSQL itself can run here.
import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { taskOperations } from '../../src/db/tasks.ts'
import type { LoadOptions } from '../load/load-options.ts'
import { pick, type Scenario, type SeedUser, seededRandom } from '../load/scenario.ts'
import type { SeededDatabase } from './database.ts'
import type { DirectResult, ServerKind } from './kind.ts'
import { cpuMicroseconds } from './usage.ts'

export const PGBENCH = 'pgbench'

/**
 * pgbench cannot make strings, so each script has its own user and task as variables (-D), which -M prepared turns into
 * parameters.
 */
const SCRIPTS = 16

/** The service's statements by scenario, with pgbench's variables in place of the parameters. */
const STATEMENTS: Record<string, (script: number) => string> = {
  'task-read': (n) => withVariables('find_task', [`:u${n}`, `:i${n}`]),
  // PostgreSQL makes the id of the new task, and null must be part of the text because no variable can hold it.
  'task-create': (n) =>
    withVariables('insert_task', [`:u${n}`, 'uuidv7()', ':title', 'null', ':priority', ':due_at']),
}

function withVariables(name: string, values: readonly string[]): string {
  const text = taskOperations.find((operation) => operation.name === name)?.one.text
  if (!text) throw new Error(`There is no operation ${name}`)
  return `${text.replaceAll(/\$(\d+)/g, (_, number) => values[Number(number) - 1] ?? '')};\n`
}

export function pgbench(): ServerKind {
  return {
    name: PGBENCH,
    language: 'C',
    serves: ['tasks'],
    scenarios: Object.keys(STATEMENTS),
    versions: { pgbench: readVersion() },
    folder: tmpdir(),
    command: [],
    toolchain: PGBENCH,
    build: [],
    env: () => ({}),
    measure,
  }
}

async function measure(
  scenario: Scenario,
  { url = '', users, pid }: SeededDatabase,
  load: LoadOptions,
  signal: AbortSignal,
): Promise<DirectResult> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-pgbench-'))
  try {
    const files = await writeScripts(folder, scenario.name)
    const run = async (seconds: number) => {
      const args = commandLine(url, users, load.connections, seconds, files)
      const { stdout } = await promisify(execFile)(PGBENCH, args, { signal })
      return readOutput(stdout)
    }
    await run(load.warmupSeconds)
    const before = cpuMicroseconds(pid)
    const { perSecond, transactions, failed } = await run(load.durationSeconds)
    const database_cpu_us = (cpuMicroseconds(pid) - before) / Math.max(1, transactions)
    return {
      scenario: scenario.name,
      closed: { requests_per_second: perSecond, errors: failed },
      database_cpu_us,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function writeScripts(folder: string, scenario: string): Promise<string[]> {
  const statementOf = STATEMENTS[scenario]
  if (!statementOf) throw new Error(`There is no pgbench script for ${scenario}`)
  const names = Array.from({ length: SCRIPTS }, (_, index) => join(folder, `${index + 1}.sql`))
  await Promise.all(names.map((name, index) => writeFile(name, statementOf(index + 1))))
  return names
}

function commandLine(
  url: string,
  users: readonly SeedUser[],
  connections: number,
  seconds: number,
  files: readonly string[],
): string[] {
  const { pathname, searchParams } = new URL(url)
  const random = seededRandom(1)
  const keys = files.flatMap((_, index) => {
    const user = pick(users, random)
    return [`u${index + 1}=${userIdOf(user)}`, `i${index + 1}=${pick(user.taskIds, random)}`]
  })
  const task = ['title=Write integration tests', 'priority=high', 'due_at=2026-12-24T18:00:00Z']
  return [
    '--no-vacuum',
    ['-M', 'prepared'],
    ['-h', searchParams.get('host') ?? ''],
    ['-U', searchParams.get('user') ?? ''],
    ['-c', String(connections)],
    ['-j', String(Math.min(connections, availableParallelism()))],
    // Whole seconds only.
    ['-T', String(Math.max(1, Math.round(seconds)))],
    ...files.map((file) => ['-f', file]),
    ...[...keys, ...task].map((variable) => ['-D', variable]),
    pathname.slice(1),
  ].flat()
}

/** The id of the account that the token belongs to. */
function userIdOf({ token }: SeedUser): string {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
  return JSON.parse(payload).sub
}

function readOutput(text: string): { perSecond: number; transactions: number; failed: number } {
  const number = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN)
  const perSecond = number(/^tps = ([\d.]+) \(without initial connection time\)/m)
  const transactions = number(/^number of transactions actually processed: (\d+)/m)
  if (!(perSecond > 0) || !(transactions > 0))
    throw new Error(`Cannot read the output of pgbench:\n${text}`)
  // Versions before 15 do not report failures, because they abort at the first one.
  return { perSecond, transactions, failed: number(/^number of failed transactions: (\d+)/m) || 0 }
}

function readVersion(): string {
  try {
    const text = execFileSync(PGBENCH, ['--version'], { encoding: 'utf8', stdio: 'pipe' })
    return /\d[\d.]*/.exec(text)?.[0] ?? 'unknown'
  } catch {
    return 'not found'
  }
}
