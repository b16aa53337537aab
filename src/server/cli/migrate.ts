// Runs in the process that the user started: the command `migrate`.
import { describeError } from '../../db/failures.ts'
import { migrate } from '../../db/migrate.ts'
import { readConfig, readMisnomers } from '../config/config.ts'
import { createLog } from '../observe/log.ts'
import { startLocalDatabase } from '../process/local-database.ts'
import { MIGRATIONS_FOLDER } from '../root.ts'

/** Brings the schema of `DATABASE_URL`, or of the local PostgreSQL, up to date. Rejects when it cannot. */
export async function applyMigrations(): Promise<void> {
  const config = readConfig()
  const log = createLog({ level: config.LOG_LEVEL, role: 'migrate', describeError })
  for (const warning of readMisnomers()) log.logger.warn(warning)
  const { signal } = new AbortController()
  const local =
    config.DATABASE_URL === undefined
      ? await startLocalDatabase(config, log.logger, signal)
      : undefined
  try {
    const database = local?.settings.DATABASE_URL ?? config.DATABASE_URL
    if (!database) throw new Error('Migrations need DATABASE_URL')
    await migrate({
      address: database.address,
      folder: MIGRATIONS_FOLDER,
      timeoutMs: config.STARTUP_TIMEOUT_MS,
      onApplied: (name) => log.logger.info({ migration: name }, 'Migration applied'),
    })
    log.logger.info('Migrations are up to date')
  } finally {
    await local?.drain()
    await log.close()
  }
}
