// Runs in the process that the user started: the commands `migrate` and `migrate status`.
import type { Address } from '../../db/address.ts'
import { describeError } from '../../db/failures.ts'
import { migrate, readMigrations } from '../../db/migrate.ts'
import type { Migration, MigrationState } from '../../db/migration-files.ts'
import { type Config, readConfig, readMisnomers } from '../config/config.ts'
import { createLog, type Log, SILENT } from '../observe/log.ts'
import { startLocalDatabase } from '../process/local-database.ts'
import { MIGRATIONS_FOLDER } from '../root.ts'

const COLUMN_GAP = 2

/**
 * Brings the schema of `DATABASE_URL`, or of the local PostgreSQL, up to date, whatever `MIGRATE` says. Rejects when it
 * cannot.
 */
export async function applyMigrations(): Promise<void> {
  const config = readConfig('command')
  const log = createLog({ levels: config.LOG_LEVEL, role: 'migrate', describeError })
  for (const warning of readMisnomers()) log.loggers.process.warn(warning)
  await withDatabase(config, log, async (address) => {
    await migrate({
      address,
      folder: MIGRATIONS_FOLDER,
      timeoutMs: config.STARTUP_TIMEOUT_MS,
      onApplied: (name) => log.loggers.db.info({ migration: name }, 'Migration applied'),
    })
    log.loggers.db.info('Migrations are up to date')
  })
}

/** Prints every migration with its state. Rejects when the database is not up to date, or cannot be asked. */
export async function printMigrationStatus({ json }: { json: boolean }): Promise<void> {
  const config = readConfig('command')
  // What is printed is all there is to say; a failure goes to standard error.
  const log = createLog({ levels: SILENT, role: 'migrate', describeError })
  await withDatabase(config, log, async (address) => {
    const migrations = await readMigrations({ address, folder: MIGRATIONS_FOLDER })
    const text = json ? JSON.stringify(migrations, null, 2) : formatTable(migrations)
    process.stdout.write(`${text}\n`)
    const wrong = migrations.filter(({ state }) => !UP_TO_DATE.has(state))
    if (wrong.length === 0) return
    const names = wrong.map(({ name, state }) => `${name} is ${state}`).join(', ')
    throw new Error(`Migrations are not up to date: ${names}`)
  })
}

const UP_TO_DATE: ReadonlySet<MigrationState> = new Set(['applied', 'newer'])

function formatTable(migrations: readonly Migration[]): string {
  const rows = [
    ['migration', 'state', 'applied'],
    ...migrations.map(({ name, state, appliedAt }) => [name, state, appliedAt ?? '-']),
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd((widths[column] ?? 0) + COLUMN_GAP)))
    .map((cells) => cells.join('').trimEnd())
    .join('\n')
}

/** Starts the local PostgreSQL where no other is named, and stops it afterwards. */
async function withDatabase(
  config: Config,
  log: Log,
  use: (address: Address) => Promise<void>,
): Promise<void> {
  const { signal } = new AbortController()
  const local =
    config.DATABASE_URL === undefined
      ? await startLocalDatabase(config, log.loggers.db, signal)
      : undefined
  try {
    const database = local?.settings.DATABASE_URL ?? config.DATABASE_URL
    if (!database) throw new Error('Migrations need DATABASE_URL')
    await use(database.address)
  } finally {
    await local?.drain()
    await log.close()
  }
}
