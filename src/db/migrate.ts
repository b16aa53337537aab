// Runs once per start, in the process that the user started, and in `npm run db:migrate`.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { openClient } from './driver/client.ts'
import { classify } from './failures.ts'

/** Key of the advisory lock; any constant does, as long as every node uses it. */
const LOCK_KEY = 7_461_736_101
const RETRY_DELAY_MS = 250

export interface MigrateOptions {
  url: string
  /** Folder of `NNNN_name.sql` files, applied in the order of their names. */
  folder: string
  /** Longest wait for PostgreSQL to answer and for another node to finish, in milliseconds. */
  timeoutMs: number
  signal?: AbortSignal
  onApplied(name: string): void
}

/**
 * Applies what is pending, each file in a transaction of its own together with its record, under an advisory
 * lock: nodes that start together apply each file once. Refuses to go on when an applied file was edited.
 */
export async function migrate(options: MigrateOptions): Promise<void> {
  const deadline = Date.now() + options.timeoutMs
  for (;;) {
    try {
      await migrateOnce(options, deadline)
      return
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isTransient(error)) throw error
      if (Date.now() > deadline) {
        throw new Error(`Cannot reach PostgreSQL within ${options.timeoutMs} ms`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS))
    }
  }
}

async function migrateOnce(options: MigrateOptions, deadline: number): Promise<void> {
  const patienceMs = Math.max(1000, deadline - Date.now())
  const sql = openClient(options.url, {
    max: 1,
    connectTimeoutMs: Math.min(patienceMs, 5000),
    parameters: { application_name: 'taskapi migrate', lock_timeout: patienceMs },
  })
  try {
    await sql`select pg_advisory_lock(${LOCK_KEY})`
    await sql`
      create table if not exists schema_migrations (
        name text primary key,
        checksum text not null,
        applied_at timestamptz not null default now()
      )`
    const pending = await readPending(options.folder, sql)
    if (pending.length === 0) return
    // Loaded when there is work for it: it takes 50 ms and several megabytes.
    const { Umzug } = await import('umzug')
    const umzug = new Umzug({
      logger: undefined,
      migrations: pending,
      storage: {
        executed: async () => [],
        // The record is written with the migration, in its transaction.
        logMigration: async () => undefined,
        unlogMigration: async () => undefined,
      },
    })
    umzug.on('migrated', ({ name }) => options.onApplied(name))
    await umzug.up()
  } finally {
    // Ending the connection releases the lock.
    await sql.end({ timeout: 1 })
  }
}

/** The migrations that are not recorded. Throws when one that is recorded was edited since. */
async function readPending(folder: string, sql: ReturnType<typeof openClient>) {
  const applied = await sql<{ name: string; checksum: string }[]>`
    select name, checksum from schema_migrations`
  const checksums = new Map(applied.map((row) => [row.name, row.checksum]))
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
  const migrations = files.map((file) => {
    const text = readFileSync(join(folder, file), 'utf8')
    const name = basename(file, '.sql')
    const checksum = createHash('sha256').update(text).digest('hex')
    const known = checksums.get(name)
    if (known !== undefined && known !== checksum) {
      throw new Error(`Cannot migrate: "${file}" was edited after it had been applied`)
    }
    return {
      name,
      up: () =>
        sql.begin(async (transaction) => {
          await transaction.unsafe(text).simple()
          await transaction`
              insert into schema_migrations (name, checksum) values (${name}, ${checksum})`
        }),
    }
  })
  return migrations.filter(({ name }) => !checksums.has(name))
}

function isTransient(error: unknown): boolean {
  const failure = classify(error)
  return failure === 'unreachable' || failure === 'busy'
}
