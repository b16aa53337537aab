// Runs in the process that the user started: at a start of the service, and in the command `migrate`.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Address } from './address.ts'
import { openClient } from './driver/client.ts'
import { classify, describeError, isRefusal } from './failures.ts'

/** Key of the advisory lock; any constant does, as long as every node of every version uses it. */
const LOCK_KEY = 7_461_736_101
const RETRY_DELAY_MS = 250
/** Longest time in one queue for a lock: then it queues again, so that whoever waits behind it gets a turn. */
const LOCK_WAIT_MS_MAX = 30_000
const FILE_NAME = /^\d{4}_\w+\.sql$/
const NUMBER_LENGTH = 4

type Sql = ReturnType<typeof openClient>

export interface MigrateOptions {
  address: Address
  /** Folder of `NNNN_name.sql` files, applied in the order of their names. They neither begin nor end transactions. */
  folder: string
  /** Longest wait for PostgreSQL to answer and for another node to finish, in milliseconds; 0 for no limit. */
  timeoutMs: number
  /** Ends the wait at once; a file that PostgreSQL is working on is still applied as a whole or not at all. */
  signal?: AbortSignal
  onApplied(name: string): void
  /** Called with each failure that it waits out: PostgreSQL cannot be reached, or has no time or no lock. */
  onWaiting?(error: unknown): void
  /** Called whenever PostgreSQL has answered for the first time after a failure, or at all. */
  onReached?(): void
}

/**
 * Applies the pending files, each together with its record in its own transaction, under an advisory lock: nodes that
 * start together apply each file once. Refuses to go on when an applied file was edited or is missing.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs || Number.POSITIVE_INFINITY)
  // Outside of the attempts: no wait makes a folder readable.
  const files = readFiles(options.folder)
  for (;;) {
    options.signal?.throwIfAborted()
    try {
      await migrateOnce(options, files, deadline)
      return
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isTransient(error)) throw error
      if (Date.now() > deadline) {
        if (classify(error) === undefined) throw error
        throw new Error(`Cannot reach PostgreSQL within ${options.timeoutMs} ms`, { cause: error })
      }
      options.onWaiting?.(error)
      await delay(RETRY_DELAY_MS, undefined, options.signal ? { signal: options.signal } : {})
    }
  }
}

async function migrateOnce(
  options: MigrateOptions,
  files: readonly MigrationFile[],
  deadline: number,
): Promise<void> {
  const patienceMs = Math.min(Math.max(1000, deadline - Date.now()), LOCK_WAIT_MS_MAX)
  const sql = openClient(options.address, {
    max: 1,
    connectTimeoutMs: Math.min(patienceMs, 5000),
    parameters: { application_name: 'taskapi migrate' },
  })
  const cutOff = () => void sql.end({ timeout: 0 })
  options.signal?.addEventListener('abort', cutOff)
  try {
    // Most starts read a few rows and end here: they need no lock, and no right to create anything.
    const records = await readRecords(sql)
    options.onReached?.()
    if (listPending(files, records).length === 0) return
    for (;;) {
      const name = await applyNext(sql, files, patienceMs)
      if (name === undefined) return
      options.onApplied(name)
    }
  } finally {
    options.signal?.removeEventListener('abort', cutOff)
    // Rolls back what is left open.
    await sql.end({ timeout: 1 })
  }
}

/**
 * Applies the first pending file and returns its name; `undefined` when nothing is left to apply.
 *
 * It does not use the driver's own transactions: when one loses its connection between two statements, the next statement
 * ends the process. Here, the next message gets a new connection, and does all of its work there or nothing.
 */
async function applyNext(
  sql: Sql,
  files: readonly MigrationFile[],
  patienceMs: number,
): Promise<string | undefined> {
  let step = 'lock the migrations'
  try {
    // The lock ends with the transaction, so that no session behind a pooler keeps it. The isolation level makes visible
    // what other nodes recorded during the wait.
    await sql.unsafe(`
      begin isolation level read committed;
      set local lock_timeout = ${patienceMs};
      select pg_advisory_xact_lock(${LOCK_KEY})`)
    const records = await readRecords(sql)
    const [file] = listPending(files, records)
    if (!file) return undefined
    step = `apply "${file.name}.sql"`
    if (!records) await sql.unsafe(CREATE_RECORDS)
    await sql.unsafe(`${file.text}
      ;insert into schema_migrations (name, checksum) values ('${file.name}', '${hash(file.text)}')
      ;commit`)
    return file.name
  } catch (error) {
    if (!isRefusal(error)) throw error
    throw new Error(`Cannot ${step}: ${String(describeError(error)?.message)}`, { cause: error })
  }
}

const CREATE_RECORDS = `
  create table if not exists schema_migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`

/** Checksums of the applied migrations by their names; `undefined` before the first one. */
async function readRecords(sql: Sql): Promise<Map<string, string> | undefined> {
  // Without reading pg_class, to_regclass can miss a table that another node has just created: the session caches names.
  const tables = await sql.unsafe(
    `select from pg_class where oid = to_regclass('schema_migrations')`,
  )
  if (tables.length === 0) return undefined
  const rows = await sql.unsafe<{ name: string; checksum: string }[]>(
    'select name, checksum from schema_migrations order by name',
  )
  return new Map(rows.map(({ name, checksum }) => [name, checksum]))
}

interface MigrationFile {
  /** Without `.sql`. */
  name: string
  text: string
}

/** The migrations of the folder in their order. Throws when that order is not clear from their names. */
function readFiles(folder: string): MigrationFile[] {
  const files = readdirSync(folder)
    .filter((file) => file.toLowerCase().endsWith('.sql'))
    .sort()
  for (const [index, file] of files.entries()) {
    if (!FILE_NAME.test(file)) {
      throw new Error(`Cannot migrate: "${file}" is not named like "0001_name.sql"`)
    }
    const previous = files[index - 1]
    if (previous?.startsWith(file.slice(0, NUMBER_LENGTH))) {
      throw new Error(`Cannot migrate: "${previous}" and "${file}" have the same number`)
    }
  }
  return files.map((file) => ({
    name: basename(file, '.sql'),
    // Line ends are the checkout's, and must not decide what is run or recorded.
    text: readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n'),
  }))
}

/**
 * The migrations that are not recorded. Throws when a recorded one was edited since, or has no file. A record that sorts
 * after the last file is of a later version: nodes of both run side by side while one is rolled out or back.
 */
function listPending(
  files: readonly MigrationFile[],
  records: ReadonlyMap<string, string> = new Map(),
): MigrationFile[] {
  const names = new Set(files.map(({ name }) => name))
  const last = files.at(-1)?.name ?? ''
  for (const name of records.keys()) {
    if (!names.has(name) && name < last) {
      throw new Error(`Cannot migrate: the database has "${name}", but its file is missing here`)
    }
  }
  return files.filter(({ name, text }) => {
    const checksum = records.get(name)
    if (checksum === undefined) return true
    // Earlier versions recorded the line ends of their checkout.
    if (checksum === hash(text) || checksum === hash(text.replaceAll('\n', '\r\n'))) return false
    throw new Error(`Cannot migrate: "${name}.sql" was edited after it had been applied`)
  })
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A refusal is wrapped together with the step that it refused: that of a lock passes, any other does not. */
function isTransient(error: unknown): boolean {
  const failure = classify(error) ?? classify(error instanceof Error ? error.cause : undefined)
  return failure === 'unreachable' || failure === 'busy'
}
