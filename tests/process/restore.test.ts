import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { addRows, backUp, joinLines, rowsOf, seal } from '../support/backups.ts'
import { type CommandProcess, finish, runCommand, startCommand } from '../support/command.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { JWT_SECRET, runMain } from '../support/service.ts'
import {
  hasSystemPostgres,
  type SystemPostgres,
  startStandby,
  startSystemPostgres,
} from '../support/system-postgres.ts'

const TIMEOUT_MS = 240_000
const HEADER = 0
/** Line 2 and 3 are accounts, 4 to 9 are tasks, and 10 is the end. */
const TASK = 4
const END = 9

let source: TestDatabase
let target: TestDatabase
let backup: string[]

beforeAll(async () => {
  source = await createDatabase()
  await addRows(source, 2, 3)
  backup = await backUp(source)
  expect(backup).toHaveLength(END + 1)
}, TIMEOUT_MS)

afterAll(() => source.drop())

beforeEach(async () => {
  target = await createDatabase({ empty: true })
})

afterEach(() => target.drop())

/** Resolves with what the command says about a file that it refuses. */
async function refuse(input: string | Uint8Array): Promise<string> {
  const { code, stderr } = await runCommand(target.url, ['restore', '-'], { input })
  expect(code).toBe(1)
  // What is in a backup is nobody's business.
  expect(stderr).not.toContain('example.com')
  return stderr
}

async function tables(): Promise<string[]> {
  const rows = await target.query<{ name: string }>(
    `select relname::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  )
  return rows.map(({ name }) => name)
}

/** The backup with a line changed. */
function change(at: number, edit: (line: string) => string): string[] {
  return backup.map((line, index) => (index === at ? edit(line) : line))
}

/** With a header that says something else, and a checksum that fits. */
function withHeader(changes: Record<string, unknown>): string {
  const header = JSON.stringify({ ...JSON.parse(backup[HEADER] ?? ''), ...changes })
  return seal([header, ...rowsOf(backup)])
}

/** With a line changed, and a checksum that fits. */
function forge(at: number, edit: (line: string) => string): string {
  return seal(change(at, edit).slice(0, -1))
}

test.each([
  ['an empty file', () => '', 'The file is empty'],
  ['something else', () => 'create table users ();\n', 'Line 1 is not the header'],
  ['bytes', () => Buffer.from([0xff, 0x00, 0x0a, 0x0a]), 'Line 1 is not the header'],
  ['half a header', () => (backup[HEADER] ?? '').slice(0, 50), 'Line 1 is cut off'],
  [
    'a header with other tables',
    () => joinLines([JSON.stringify({ ...JSON.parse(backup[HEADER] ?? ''), tables: [1] })]),
    'Line 1 is a damaged header',
  ],
  ['a newer format', () => withHeader({ format_version: 2 }), 'format 2, of a newer version'],
  [
    'a newer version',
    () =>
      withHeader({ service_version: '9.0.0', migrations: [{ name: '0999_new', checksum: '' }] }),
    'The backup is of a newer version (9.0.0): this one does not know its migration "0999_new"',
  ],
  [
    'another service',
    () => withHeader({ migrations: [{ name: '0001_users_and_tasks', checksum: 'other' }] }),
    'its migration "0001_users_and_tasks" has other content',
  ],
])(
  '%s changes nothing at all',
  async (_, input, message) => {
    expect(await refuse(input())).toContain(message)
    expect(await tables()).toEqual([])
  },
  TIMEOUT_MS,
)

test.each([
  ['/nowhere/tasks.gz', 'there is no such file'],
  ['/', 'it is a folder'],
])('the file "%s" is refused by its name', async (name, reason) => {
  const { code, stderr } = await runCommand(target.url, ['restore', name])
  expect({ code, stderr }).toEqual({ code: 1, stderr: `Cannot restore "${name}": ${reason}\n` })
})

test.each([
  ['the last line is missing', () => joinLines(backup.slice(0, -1)), 'Line 9 is the last one'],
  ['it is cut off within a line', () => joinLines(backup).slice(0, -3), 'Line 10 is cut off'],
  [
    'a line is missing',
    () => joinLines(backup.filter((_, at) => at !== TASK)),
    'Line 9 has another checksum',
  ],
  [
    'a letter is another',
    () => joinLines(change(TASK, (line) => line.replace('Task', 'Tisk'))),
    'Line 10 has another checksum',
  ],
  [
    'a bracket is another',
    () => joinLines(change(TASK, (line) => line.replace('}', ']'))),
    'Line 5 is neither a row',
  ],
  [
    'an id is none',
    () => forge(TASK, (line) => line.replace('"id":"', '"id":"x')),
    'Line 5: PostgreSQL refuses it: Data exception',
  ],
  ['something follows', () => `${joinLines(backup)}{}\n`, 'Line 11 is behind the end'],
  [
    'compressed, its end is missing',
    // Without a part of the checksum, which is the end of the last line and takes as much when it is compressed.
    () => gzipSync(joinLines(backup)).subarray(0, -30),
    'Line 10 cannot be read: unexpected end of file',
  ],
  [
    'the end counts other rows',
    () => joinLines(change(END, (line) => line.replace('"tasks":6', '"tasks":7'))),
    'Line 10 counts other rows of "tasks"',
  ],
  [
    'an account has an id twice',
    () => forge(2, () => backup[1] ?? ''),
    'Line 3: PostgreSQL refuses it: duplicate key value violates unique constraint "users_pkey"',
  ],
  [
    'a task is of nobody',
    () => seal([backup[HEADER] ?? '', ...backup.slice(TASK, END)]),
    'Rows of "tasks": PostgreSQL refuses it: insert or update on table "tasks" violates foreign key constraint "tasks_user_id_fkey"',
  ],
  [
    'a value is null',
    () => forge(TASK, (line) => line.replace('"medium"', 'null')),
    'Line 5: PostgreSQL refuses it: null value in column "priority"',
  ],
  [
    'a row lacks a column',
    () => forge(TASK, (line) => line.replace('"due_at":null,', '')),
    'Line 5 has other columns',
  ],
  [
    'the tables are in another order',
    () => seal([backup[HEADER] ?? '', ...backup.slice(TASK, END), backup[1] ?? '']),
    'Rows of "tasks"',
  ],
  [
    'a table comes twice',
    () => seal([...backup.slice(0, END), backup[1] ?? '']),
    'Line 10 is a row of a table',
  ],
  [
    'a column is unknown',
    () => withHeader({ tables: [{ name: 'users', columns: ['id', 'name'] }] }),
    'The backup has a column "users.name"',
  ],
  [
    'a table is unknown',
    () => withHeader({ tables: [{ name: 'pg_authid', columns: ['rolname'] }] }),
    'The backup has a table "pg_authid"',
  ],
])(
  'no row comes back when %s',
  async (_, input, message) => {
    expect(await refuse(input())).toContain(`Cannot restore: ${message}`)
    expect(await target.query('select from users union all select from tasks')).toEqual([])
  },
  TIMEOUT_MS,
)

test(
  'a good backup is still welcome after one that was refused',
  async () => {
    await refuse(joinLines(backup.slice(0, -1)))
    const { code } = await runCommand(target.url, ['restore', '-'], { input: joinLines(backup) })
    expect(code).toBe(0)
    expect(rowsOf(await backUp(target))).toEqual(rowsOf(backup))
  },
  TIMEOUT_MS,
)

test(
  'a database with rows is not touched, not even migrated',
  async () => {
    await target.query('create table users (id int)')
    await target.query('insert into users values (1)')
    expect(await refuse(joinLines(backup))).toBe(
      'Cannot restore: The database is not empty: "users" has rows\n',
    )
    expect(await tables()).toEqual(['users'])
    expect(await target.query('table users')).toEqual([{ id: 1 }])
  },
  TIMEOUT_MS,
)

test(
  'what the service writes in the meantime waits, and then meets the restored rows',
  async () => {
    await runCommand(target.url, ['migrate'])
    const child = startCommand(target.url, ['restore', '-'])
    child.stdin.write(joinLines(backup.slice(0, -1)))
    const finished = finish(child)
    const lock = `select from pg_locks where relation = 'users'::regclass and mode = 'ShareRowExclusiveLock'`
    await expect.poll(() => target.query(lock), { timeout: 60_000 }).toHaveLength(1)
    const writing = target.query(
      `insert into users (id, email, password_hash) values (gen_random_uuid(), '1@example.com', 'h')`,
    )
    child.stdin.end(`${backup.at(-1)}\n`)
    await expect(writing).rejects.toThrow('users_email_ascii_key')
    expect((await finished).code).toBe(0)
  },
  TIMEOUT_MS,
)

test(
  'the local PostgreSQL is backed up and restored, too',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskapi-local-'))
    try {
      const file = join(folder, 'backup.gz')
      await runCommand(source.url, ['backup', '--output', file])
      const DATA_DIR = join(folder, 'data')
      expect((await (await runMain({ DATA_DIR }, ['restore', file])).exited).code).toBe(0)
      const again = join(folder, 'again')
      expect((await (await runMain({ DATA_DIR }, ['backup', '--output', again])).exited).code).toBe(
        0,
      )
      const lines = readFileSync(again, 'utf8').split('\n')
      expect(rowsOf(lines.slice(0, -1))).toEqual(rowsOf(backup))
    } finally {
      await rm(folder, { recursive: true })
    }
  },
  TIMEOUT_MS,
)

describe.skipIf(!hasSystemPostgres())('PostgreSQL 15 (needs the package postgresql-15)', () => {
  test(
    'takes the backup of a newer PostgreSQL, and gives it back, also from a standby',
    async () => {
      const primary = await startSystemPostgres()
      let standby: SystemPostgres | undefined
      try {
        const input = joinLines(backup)
        expect((await runCommand(primary.url, ['restore', '-'], { input })).code).toBe(0)
        standby = await startStandby(primary)
        expect(rowsOf(await backUp(standby))).toEqual(rowsOf(backup))
      } finally {
        await standby?.stop()
        await primary.stop()
      }
    },
    TIMEOUT_MS,
  )
})

test(
  'bad settings are reported as those of the service',
  async () => {
    const { exited } = await runMain({ DATABASE_URL: 'nowhere', JWT_SECRET }, ['backup'])
    expect((await exited).code).toBe(78)
  },
  TIMEOUT_MS,
)

/** The most memory that the process has had so far, in MiB; 0 when it has ended. */
function peakMemory({ pid }: CommandProcess): number {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(kilobytes ?? 0) / 1024
  } catch {
    return 0
  }
}

/** Backs up and restores at the same time. Resolves with the most memory that either has had, in MiB. */
async function measurePipe(): Promise<{ writer: number; reader: number; bytes: number }> {
  const writer = startCommand(source.url, ['backup'])
  const reader = startCommand(target.url, ['restore', '-'])
  const peaks = { writer: 0, reader: 0, bytes: 0 }
  const sampling = setInterval(() => {
    peaks.writer = Math.max(peaks.writer, peakMemory(writer))
    peaks.reader = Math.max(peaks.reader, peakMemory(reader))
  }, 20)
  writer.stdout.on('data', (chunk: Buffer) => {
    peaks.bytes += chunk.length
  })
  writer.stdout.pipe(reader.stdin)
  const { code } = await finish(reader)
  clearInterval(sampling)
  expect(code).toBe(0)
  return peaks
}

test(
  'memory does not grow with the database',
  async () => {
    const small = await measurePipe()
    await target.query('truncate users cascade')
    await source.query(`
    insert into tasks (user_id, id, title, description)
    select id, gen_random_uuid(), 'large', repeat('d', 2000) from users, generate_series(1, 60000)`)
    try {
      const large = await measurePipe()
      expect(large.bytes / 1024 / 1024).toBeGreaterThan(250)
      expect(large.writer - small.writer).toBeLessThan(100)
      expect(large.reader - small.reader).toBeLessThan(100)
    } finally {
      await source.query(`delete from tasks where title = 'large'`)
    }
  },
  TIMEOUT_MS,
)
