// Runs in the process that the user started. Waits for the database, brings its schema up to date or waits for whoever
// does, and says meanwhile why the service is not ready.
import { type Address, socketPath } from '../../db/address.ts'
import { classify } from '../../db/failures.ts'
import { migrate, PendingMigrationsError } from '../../db/migrate.ts'
import type { DatabaseState } from '../../workers/messages.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../observe/log.ts'
import { MIGRATIONS_FOLDER } from '../root.ts'

/** The gaps between the log lines of a wait double from the first to the last of these. */
const REPORT_GAP_MS_MIN = 2000
const REPORT_GAP_MS_MAX = 60_000

interface MigrationOptions {
  log: Logger
  signal: AbortSignal
  onState: (state: DatabaseState) => void
}

/**
 * Resolves when the schema is up to date, or at once when `MIGRATE` is `off`. Rejects at once when waiting cannot help,
 * when the wait takes longer than `STARTUP_TIMEOUT_MS`, or when `signal` aborts. A file is applied as a whole or not at
 * all, whenever that happens.
 */
export async function bringUpToDate(
  config: Config,
  { log, signal, onState }: MigrationOptions,
): Promise<void> {
  const address = config.DATABASE_URL?.address
  if (!address) throw new Error('Migrations need DATABASE_URL')
  if (config.MIGRATE !== 'off') {
    const work = migrate({
      address,
      folder: MIGRATIONS_FOLDER,
      mode: config.MIGRATE,
      timeoutMs: config.STARTUP_TIMEOUT_MS,
      signal,
      onApplied: (name) => log.info({ migration: name }, 'Migration applied'),
      ...reportWaits(log, address, onState),
    })
    // A connection attempt that nobody answers ends later, with the process.
    await Promise.race([work, whenAborted(signal)])
  }
  onState('migrated')
}

/** For the database, and then perhaps for whoever applies what is pending. */
function reportWaits(log: Logger, address: Address, onState: (state: DatabaseState) => void) {
  const hosts = hostsOf(address)
  const database = new Wait()
  const migrations = new Wait()
  return {
    onWaiting: (error: unknown) => {
      onState(classify(error) === 'unreachable' ? 'unreachable' : 'migrating')
      if (error instanceof PendingMigrationsError) {
        migrations.goOn((waited_ms) => {
          log.warn({ pending: error.pending, waited_ms }, 'Waiting for somebody to migrate')
        })
      } else {
        database.goOn((waited_ms) => {
          log.warn({ err: error, hosts, waited_ms }, 'Waiting for the database')
        })
      }
    },
    onReached: () => {
      onState('migrating')
      database.end((waited_ms) => log.info({ hosts, waited_ms }, 'The database answers'))
    },
  }
}

/** Reports a wait when it begins, at growing intervals, and when it is over. */
class Wait {
  #sinceMs: number | undefined
  #dueMs = 0

  goOn(report: (waitedMs: number) => void): void {
    const nowMs = performance.now()
    this.#sinceMs ??= nowMs
    const elapsedMs = nowMs - this.#sinceMs
    if (elapsedMs < this.#dueMs) return
    this.#dueMs += Math.min(Math.max(REPORT_GAP_MS_MIN, this.#dueMs), REPORT_GAP_MS_MAX)
    report(Math.round(elapsedMs))
  }

  end(report: (waitedMs: number) => void): void {
    if (this.#sinceMs === undefined) return
    const waitedMs = Math.round(performance.now() - this.#sinceMs)
    this.#sinceMs = undefined
    this.#dueMs = 0
    report(waitedMs)
  }
}

/** Where PostgreSQL is looked for: neither a user nor a password. */
function hostsOf(address: Address): string[] {
  return address.hosts.map((host) => socketPath(host) ?? `${host.name}:${host.port}`)
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
