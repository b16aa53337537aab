// Runs in the process that the user started: at a start of the service, and in the command `migrate`.
import { setTimeout as delay } from 'node:timers/promises'
import type { Address } from './address.ts'
import { classify, describeError, type Failure, isRefusal } from './failures.ts'
import {
  checksumOf,
  compareMigrations,
  listPending,
  type Migration,
  type MigrationFile,
  type MigrationRecord,
  readMigrationFiles,
} from './migration-files.ts'
import { SetupError } from './setup-error.ts'
import { ConnectionError } from './wire/error.ts'
import { openTextSession, type TextSession } from './wire/text-session.ts'

/** Key of the advisory lock; any constant does, as long as every node of every version uses it. */
const LOCK_KEY = 7_461_736_101
const RETRY_DELAY_MS = 250
/** Between two looks at migrations that somebody else applies. */
const PENDING_DELAY_MS = 1000
const CONNECT_TIMEOUT_MS_MAX = 5000
/** Longest time in one queue for a lock: then it queues again, so that whoever waits behind it gets a turn. */
const LOCK_WAIT_MS_MAX = 30_000
/** SQLSTATE of a missing privilege. */
const INSUFFICIENT_PRIVILEGE = '42501'

export interface MigrateOptions {
  address: Address
  /** Folder of `NNNN_name.sql` files, applied in the order of their names. They neither begin nor end transactions. */
  folder: string
  /** Whether pending files are applied here, or waited for. */
  mode?: 'auto' | 'check'
  /** Longest wait for PostgreSQL to answer and for another node to finish, in milliseconds; 0 for no limit. */
  timeoutMs: number
  /** Ends the wait at once; a file that PostgreSQL is working on is still applied as a whole or not at all. */
  signal?: AbortSignal
  onApplied(name: string): void
  /** Called with each failure that it waits out: PostgreSQL cannot be reached, has no time or no lock, or files are pending. */
  onWaiting?(error: unknown): void
  /** Called whenever PostgreSQL has answered for the first time after a failure, or at all. */
  onReached?(): void
}

/** Thrown where pending files are not applied, but waited for. */
export class PendingMigrationsError extends SetupError {
  readonly pending: readonly string[]

  constructor(files: readonly MigrationFile[]) {
    const pending = files.map(({ name }) => name)
    const fix = 'apply them with the command "migrate", or set MIGRATE=auto'
    super(`Migrations are pending: ${pending.join(', ')}; ${fix}`)
    this.pending = pending
  }
}

/**
 * Applies the pending files, each together with its record in its own transaction, under an advisory lock: nodes that
 * start together apply each file once. Refuses to go on when an applied file was edited or is missing. With `check`, it
 * resolves when nothing is pending, and changes nothing.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs || Number.POSITIVE_INFINITY)
  // Outside of the attempts: no wait makes a folder readable.
  const files = readMigrationFiles(options.folder)
  for (;;) {
    options.signal?.throwIfAborted()
    try {
      await migrateOnce(options, files, deadline)
      return
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isTransient(error)) throw isRefusal(error) ? unreadable(error) : error
      if (Date.now() > deadline) {
        if (classify(error) === undefined) throw error
        throw outOfTime(options.timeoutMs, error)
      }
      options.onWaiting?.(error)
      const pauseMs = error instanceof PendingMigrationsError ? PENDING_DELAY_MS : RETRY_DELAY_MS
      await delay(pauseMs, undefined, options.signal ? { signal: options.signal } : {})
    }
  }
}

/** Outside of the application of a file, nothing but the records is asked for. */
function unreadable(error: unknown): SetupError {
  const fix = 'the owner of schema_migrations has to grant select on it'
  const text = `Cannot read which migrations are applied: ${messageOf(error)}; ${fix}`
  return new SetupError(text, { cause: error })
}

function outOfTime(timeoutMs: number, error: unknown): SetupError {
  const fix = 'check that it runs and that DATABASE_URL names it, or raise STARTUP_TIMEOUT_MS'
  const text = `Cannot reach PostgreSQL within ${timeoutMs} ms: ${messageOf(error)}; ${fix}`
  return new SetupError(text, { cause: error })
}

async function migrateOnce(
  options: MigrateOptions,
  files: readonly MigrationFile[],
  deadline: number,
): Promise<void> {
  const patienceMs = Math.min(Math.max(1000, deadline - Date.now()), LOCK_WAIT_MS_MAX)
  await withSession(options, patienceMs, async (session) => {
    // Most starts read a few rows and end here: they need no lock, and no right to create anything.
    const records = await readRecords(session)
    options.onReached?.()
    const pending = listPending(files, records ?? new Map())
    if (pending.length === 0) return
    if (options.mode === 'check') throw new PendingMigrationsError(pending)
    for (;;) {
      const name = await applyNext(session, files, patienceMs)
      if (name === undefined) return
      options.onApplied(name)
    }
  })
}

/** How the files of `folder` compare with the database. Changes nothing, and waits for nothing. */
export async function readMigrations(options: {
  address: Address
  folder: string
}): Promise<Migration[]> {
  const files = readMigrationFiles(options.folder)
  const records = await withSession(options, CONNECT_TIMEOUT_MS_MAX, readRecords)
  return compareMigrations(files, records ?? new Map())
}

/** Ends with the session, which rolls back what is left open; an abort ends it at once. */
async function withSession<Result>(
  { address, signal }: Pick<MigrateOptions, 'address' | 'signal'>,
  patienceMs: number,
  use: (session: TextSession) => Promise<Result>,
): Promise<Result> {
  const session = await openTextSession(address, {
    connectTimeoutMs: Math.min(patienceMs, CONNECT_TIMEOUT_MS_MAX),
    parameters: { application_name: 'taskapi migrate', TimeZone: 'UTC' },
    ...(signal ? { signal } : {}),
  })
  const cutOff = () => {
    session.destroy(new ConnectionError('CONNECTION_DESTROYED', 'The migrations were given up'))
  }
  signal?.addEventListener('abort', cutOff)
  try {
    if (signal?.aborted) cutOff()
    return await use(session)
  } finally {
    signal?.removeEventListener('abort', cutOff)
    session.end()
  }
}

/** Applies the first pending file and returns its name; `undefined` when nothing is left to apply. */
async function applyNext(
  session: TextSession,
  files: readonly MigrationFile[],
  patienceMs: number,
): Promise<string | undefined> {
  let step = 'lock the migrations'
  try {
    // The lock ends with the transaction, so that no session behind a pooler keeps it. The isolation level makes visible
    // what other nodes recorded during the wait. Limits of the role are for the statements of requests.
    await session.query(`
      begin isolation level read committed read write;
      set local statement_timeout = 0;
      set local lock_timeout = ${patienceMs};
      select pg_advisory_xact_lock(${LOCK_KEY})`)
    const records = await readRecords(session)
    const [file] = listPending(files, records ?? new Map())
    if (!file) {
      await session.query('rollback')
      return undefined
    }
    step = `apply "${file.name}.sql"`
    if (!records) await session.query(CREATE_RECORDS)
    await session.query(`${file.text}
      ;insert into schema_migrations (name, checksum) values ('${file.name}', '${checksumOf(file.text)}')
      ;commit`)
    return file.name
  } catch (error) {
    if (!isRefusal(error)) throw error
    throw new SetupError(`Cannot ${step}: ${explainRefusal(error)}`, { cause: error })
  }
}

const CREATE_RECORDS = `
  create table if not exists schema_migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`

/** The applied migrations by their names; `undefined` before the first one. */
async function readRecords(
  session: TextSession,
): Promise<Map<string, MigrationRecord> | undefined> {
  // Without reading pg_class, to_regclass can miss a table that another node has just created: the session caches names.
  const tables = await session.query(
    `select from pg_class where oid = to_regclass('schema_migrations')`,
  )
  if (tables.length === 0) return undefined
  const rows = await session.query(`
    select name, checksum, to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    from schema_migrations`)
  return new Map(
    rows.map(([name, checksum, appliedAt]) => [
      String(name),
      { checksum: String(checksum), appliedAt: String(appliedAt) },
    ]),
  )
}

function explainRefusal(error: unknown): string {
  const { code } = describeError(error) ?? {}
  const text = messageOf(error)
  if (code !== INSUFFICIENT_PRIVILEGE) return text
  return `${text}; the owner of the tables has to apply it, with the command "migrate"`
}

/** Without what PostgreSQL quotes of user data. Of what the client itself refuses, the message is its own. */
function messageOf(error: unknown): string {
  const { message } = describeError(error) ?? {}
  return String(message ?? (error instanceof Error ? error.message : error))
}

/** A refusal is wrapped together with the step that it refused: that of a lock passes, most others do not. */
function isTransient(error: unknown): boolean {
  if (error instanceof PendingMigrationsError) return true
  const failure = classify(error) ?? classify(error instanceof Error ? error.cause : undefined)
  return failure !== undefined && TRANSIENT.has(failure)
}

/** Also what PostgreSQL gives up in favour of requests, such as in a deadlock. */
const TRANSIENT: ReadonlySet<Failure> = new Set(['unreachable', 'busy', 'retryable'])
