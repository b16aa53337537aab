// Runs in the process that the user started: the database of a command, and what its failures say.
import type { Address } from '../../db/address.ts'
import { describeError } from '../../db/failures.ts'
import { type Config, readConfig } from '../config/config.ts'
import { createLog } from '../observe/log.ts'
import { startLocalDatabase } from '../process/local-database.ts'

type Work = (address: Address, config: Config) => Promise<void>

/**
 * Works on the database of `DATABASE_URL`, or on the local PostgreSQL, which is started for it. Rejects with `failure` and
 * what happened, without what PostgreSQL quotes of user data.
 */
export async function withDatabase(failure: string, work: Work): Promise<void> {
  const config = readConfig('command')
  // A process that has nothing left to wait for ends, also in the middle of this: then it must not look as if all was well.
  process.exitCode = 1
  try {
    if (config.DATABASE_URL) await work(config.DATABASE_URL.address, config)
    else await withLocalDatabase(config, work)
    process.exitCode = 0
  } catch (error) {
    throw new Error(`${failure}: ${describe(error)}`, { cause: error })
  }
}

async function withLocalDatabase(config: Config, work: Work): Promise<void> {
  // The log has standard output, where a backup may have to go.
  const log = createLog({ level: 'silent', role: 'command', describeError })
  const local = await startLocalDatabase(config, log.logger, new AbortController().signal)
  try {
    await work(local.settings.DATABASE_URL.address, config)
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
