// Runs in the process that the user started. Waits for the database, brings its schema up to date, and says meanwhile why
// the service is not ready.
import { type Address, socketPath } from '../../db/address.ts'
import { classify } from '../../db/failures.ts'
import { migrate } from '../../db/migrate.ts'
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
 * Resolves when the schema is up to date. Rejects at once when waiting cannot help, when the wait takes longer than
 * `STARTUP_TIMEOUT_MS`, or when `signal` aborts. A file is applied as a whole or not at all, whenever that happens.
 */
export async function bringUpToDate(
  config: Config,
  { log, signal, onState }: MigrationOptions,
): Promise<void> {
  const address = config.DATABASE_URL?.address
  if (!address) throw new Error('Migrations need DATABASE_URL')
  const wait = new Wait(log, address)
  const work = migrate({
    address,
    folder: MIGRATIONS_FOLDER,
    timeoutMs: config.STARTUP_TIMEOUT_MS,
    signal,
    onApplied: (name) => log.info({ migration: name }, 'Migration applied'),
    onWaiting: (error) => {
      onState(classify(error) === 'unreachable' ? 'unreachable' : 'migrating')
      wait.goOn(error)
    },
    onReached: () => {
      onState('migrating')
      wait.end()
    },
  })
  // A connection attempt that nobody answers ends later, with the process.
  await Promise.race([work, whenAborted(signal)])
  onState('migrated')
}

/** Reports a wait to the log: when it begins, at growing intervals, and when it is over. */
class Wait {
  readonly #log: Logger
  readonly #address: Address
  #sinceMs: number | undefined
  #dueMs = 0

  constructor(log: Logger, address: Address) {
    this.#log = log
    this.#address = address
  }

  goOn(err: unknown): void {
    const nowMs = performance.now()
    this.#sinceMs ??= nowMs
    const elapsedMs = nowMs - this.#sinceMs
    if (elapsedMs < this.#dueMs) return
    this.#dueMs += Math.min(Math.max(REPORT_GAP_MS_MIN, this.#dueMs), REPORT_GAP_MS_MAX)
    const waited_ms = Math.round(elapsedMs)
    this.#log.warn({ err, hosts: hostsOf(this.#address), waited_ms }, 'Waiting for the database')
  }

  end(): void {
    if (this.#sinceMs === undefined) return
    const waited_ms = Math.round(performance.now() - this.#sinceMs)
    this.#sinceMs = undefined
    this.#dueMs = 0
    this.#log.info({ hosts: hostsOf(this.#address), waited_ms }, 'The database answers')
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
