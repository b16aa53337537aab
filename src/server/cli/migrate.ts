// Runs in the process that the user started: the commands `migrate` and `migrate status`.
import { migrate, readMigrations } from '../../db/migrate.ts'
import type { Migration, MigrationState } from '../../db/migration-files.ts'
import { MIGRATIONS_FOLDER } from '../root.ts'
import { withDatabase } from './target.ts'

const COLUMN_GAP = 2

/**
 * Brings the schema of `DATABASE_URL`, or of the local PostgreSQL, up to date, whatever `MIGRATE` says. Rejects when it
 * cannot.
 */
export async function applyMigrations(): Promise<void> {
  await withDatabase({ role: 'migrate' }, async (address, config, log) => {
    await migrate({
      address,
      folder: MIGRATIONS_FOLDER,
      timeoutMs: config.STARTUP_TIMEOUT_MS,
      onApplied: (name) => log.info({ migration: name }, 'Migration applied'),
    })
    log.info('Migrations are up to date')
  })
}

/** Prints every migration with its state. Rejects when the database is not up to date, or cannot be asked. */
export async function printMigrationStatus({ json }: { json: boolean }): Promise<void> {
  await withDatabase({}, async (address) => {
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
