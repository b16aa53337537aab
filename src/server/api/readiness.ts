// Runs in listeners. Whether requests would be served, by the same connections and statements that serve them.
import { classify, isUnannounced, isUnusable } from '../../db/failures.ts'
import type { Pool } from '../../db/pool.ts'
import type { Lifecycle } from '../http/lifecycle.ts'

/** A connection that answers later is no use to a request. Together with the interval of a probe, it shows within 2 s. */
const CHECK_TIMEOUT_MS = 1000
/** Probes that come during a check, or this soon after it began, get its result, however many they are. */
const SHARED_MS = 100
/** How often one of several listeners checks itself, because the others answer for it. */
const WATCH_INTERVAL_MS = 1000

const UNANNOUNCED =
  'The database is behind a transaction pooler, and DB_POOLER is not set to "transaction"'

interface ReadinessOptions {
  lifecycle: Lifecycle
  database: Pool
  /** Set when this is one of several listeners: receives each change of its own readiness. */
  onChange?: ((ready: boolean) => void) | undefined
}

/**
 * A probe reaches one of several listeners by chance, and clients reach them all. So each answers for all: it is not ready
 * while another one has reported that it is not. A listener that has died, or one that replaces it and has not yet tried to
 * open its connections, does not count: it gets no clients either, and one crash must not take the whole node out of a
 * load balancer. A listener that hangs reports nothing; to find it is up to the supervisor.
 */
export class Readiness {
  /** What the supervisor says about the other listeners. */
  othersReady = true
  readonly #options: ReadinessOptions
  #check: Promise<string | undefined> | undefined
  #checkedAtMs = 0
  #checking = false
  #watch: NodeJS.Timeout | undefined
  #reported: boolean | undefined

  constructor(options: ReadinessOptions) {
    this.#options = options
  }

  /** Why the service is not ready, in words for clients; `undefined` when it is. Never rejects. */
  async whyNot(): Promise<string | undefined> {
    const own = await this.#whyNotHere()
    return own ?? (this.othersReady ? undefined : 'Another listener is not ready')
  }

  /** From now on, reports changes also when nobody asks. */
  watch(): void {
    if (!this.#options.onChange) return
    this.#watch = setInterval(() => void this.#whyNotHere(), WATCH_INTERVAL_MS).unref()
    void this.#whyNotHere()
  }

  async #whyNotHere(): Promise<string | undefined> {
    const { lifecycle } = this.#options
    if (lifecycle.state !== 'starting' && lifecycle.state !== 'ready') {
      clearInterval(this.#watch)
      return `The listener is ${lifecycle.state}`
    }
    const reason = lifecycle.state === 'starting' ? lifecycle.pending : await this.#shareCheck()
    this.#report(reason === undefined)
    return reason
  }

  /** The check that is in flight, the last one when it is recent, or a new one. */
  #shareCheck(): Promise<string | undefined> {
    const nowMs = performance.now()
    const recent = this.#checking || nowMs - this.#checkedAtMs < SHARED_MS
    if (this.#check && recent) return this.#check
    this.#checkedAtMs = nowMs
    this.#checking = true
    const check = this.#options.database
      .check(CHECK_TIMEOUT_MS)
      .then(() => undefined, explainFailure)
    this.#check = check.finally(() => {
      this.#checking = false
    })
    return this.#check
  }

  #report(ready: boolean): void {
    if (!this.#watch || ready === this.#reported) return
    this.#reported = ready
    this.#options.onChange?.(ready)
  }
}

/** What a client may know of a failure. */
export function explainFailure(thrown: unknown): string {
  // Of a connection that could not be opened, the cause says more.
  const error = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === '25006') return 'The database only reads'
  if (code === 'ETIMEDOUT' || code === 'CONNECT_TIMEOUT') return 'The database does not answer'
  if (isUnannounced(error)) return UNANNOUNCED
  if (isUnusable(error)) return 'The database cannot be used as it is set up'
  if (classify(error) === 'unreachable') return 'The database cannot be reached'
  return 'The database cannot serve'
}
