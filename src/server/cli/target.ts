// Runs in the process that the user started: the database of a command, and what its failures say.
import type { Address } from '../../db/address.ts'
import { describeError } from '../../db/failures.ts'
import { type Config, readConfig, readMisnomers } from '../config/config.ts'
import { createLog, type Logger, SILENT } from '../observe/log.ts'
import { startLocalDatabase } from '../process/local-database.ts'

export interface TargetOptions {
  /** Begins the message of a failure; absent where each failure says itself what could not be done. */
  failure?: string
  /** Names the process in its log; absent where standard output is for the result, and nothing is logged. */
  role?: string
}

type Work = (address: Address, config: Config, log: Logger) => Promise<void>

/**
 * Works on the database of `DATABASE_URL`, or on the local PostgreSQL, which is started for it and stopped afterwards. With
 * `failure`, it rejects with that and what happened, without what PostgreSQL quotes of user data.
 */
export async function withDatabase({ failure, role }: TargetOptions, work: Work): Promise<void> {
  const config = readConfig('command')
  const levels = role === undefined ? SILENT : config.LOG_LEVEL
  const { loggers, close } = createLog({ levels, role: role ?? 'command', describeError })
  for (const warning of readMisnomers()) loggers.process.warn(warning)
  // A process that has nothing left to wait for ends, also in the middle of this: then it must not look as if all was well.
  process.exitCode = 1
  try {
    if (config.DATABASE_URL) await work(config.DATABASE_URL.address, config, loggers.db)
    else await withLocalDatabase(config, loggers.db, work)
    process.exitCode = 0
  } catch (error) {
    if (failure === undefined) throw error
    throw new Error(`${failure}: ${describe(error)}`, { cause: error })
  } finally {
    await close()
  }
}

async function withLocalDatabase(config: Config, log: Logger, work: Work): Promise<void> {
  const local = await startLocalDatabase(config, log, new AbortController().signal)
  try {
    await work(local.settings.DATABASE_URL.address, config, log)
  } finally {
    await local.drain()
  }
}

/** In words, without what PostgreSQL quotes of user data. */
export function describe(error: unknown): string {
  const described = describeError(error)?.message
  if (typeof described === 'string') return described
  return error instanceof Error ? error.message : String(error)
}
