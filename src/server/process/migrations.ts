// Runs in listeners and in `migrate`. Brings the schema of the database up to date.
import { migrate } from '../../db/migrate.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../observe/log.ts'
import { MIGRATIONS_FOLDER } from '../root.ts'

/** Applies pending migrations to `DATABASE_URL`; rejects when it cannot within `STARTUP_TIMEOUT_MS`. */
export async function applyMigrations(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  await migrate({
    url: config.DATABASE_URL?.url.reveal() ?? '',
    folder: MIGRATIONS_FOLDER,
    timeoutMs: config.STARTUP_TIMEOUT_MS,
    signal,
    onApplied: (name) => log.info({ migration: name }, 'Migration applied'),
  })
}
