// Runs once per start, in the process that the user started, and in `npm run db:migrate`.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Umzug } from 'umzug'
import { isOutage, openClient } from './client.ts'

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
      if (!isOutage(error)) throw error
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
    const umzug = new Umzug({
      logger: undefined,
      migrations: await readMigrations(options.folder, sql),
      storage: {
        executed: async () => {
          const rows = await sql<{ name: string }[]>`select name from schema_migrations`
          return rows.map((row) => row.name)
        },
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

async function readMigrations(folder: string, sql: ReturnType<typeof openClient>) {
  const applied = await sql<{ name: string; checksum: string }[]>`
    select name, checksum from schema_migrations`
  const checksums = new Map(applied.map((row) => [row.name, row.checksum]))
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()
  return Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(folder, file), 'utf8')
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
    }),
  )
}
