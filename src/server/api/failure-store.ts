// Runs in listeners. Keeps what rate-limiter-flexible counts in PostgreSQL, over the queue like every other call.
import type RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js'
import RateLimiterRes from 'rate-limiter-flexible/lib/RateLimiterRes.js'
import RateLimiterStoreAbstract from 'rate-limiter-flexible/lib/RateLimiterStoreAbstract.js'
import { deleteLoginFailures, type Failures, insertLoginFailures } from '../../db/logins.ts'
import type { Call, Queue } from '../../db/queue.ts'

/** A login does not wait longer than this for what a limit says; most answers take less than a millisecond. */
const PATIENCE_MS = 250

export interface FailureStoreOptions {
  queue: Queue
  keyPrefix: string
  points: number
  /** In seconds. */
  duration: number
  inMemoryBlockOnConsumed: number
  /** Counts while PostgreSQL does not. */
  insuranceLimiter: RateLimiterMemory
  onFailure: (error: unknown) => void
}

/** A limiter whose counts are rows of `login_failures`. When PostgreSQL fails or is slow, its insurance counts instead. */
export class FailureStore extends RateLimiterStoreAbstract<Failures> {
  readonly #options: FailureStoreOptions

  constructor(options: FailureStoreOptions) {
    super(options)
    this.#options = options
  }

  /**
   * What is left for a key, given its row. PostgreSQL may be read while it takes no writes: then what was counted here
   * counts.
   */
  async stateOf(key: string, row: Failures | undefined): Promise<RateLimiterRes | null> {
    const insured = await this.#options.insuranceLimiter.get(key)
    if (!row || (insured && insured.consumedPoints > row.failures)) return insured
    return this._getRateLimiterRes(key, 0, row)
  }

  protected _upsert(key: string, failures: number, windowMs: number): Promise<Failures> {
    return this.#ask((queue, call) => insertLoginFailures(queue, call, { key, failures, windowMs }))
  }

  protected _delete(key: string): Promise<boolean> {
    return this.#ask((queue, call) => deleteLoginFailures(queue, call, key))
  }

  protected _getRateLimiterRes(_key: string, changed: number, row: Failures): RateLimiterRes {
    const remaining = Math.max(this.points - row.failures, 0)
    return new RateLimiterRes(remaining, row.ms_left, row.failures, row.failures === changed)
  }

  async #ask<Result>(question: (queue: Queue, call: Call) => Promise<Result>): Promise<Result> {
    try {
      return await askPatiently((call) => question(this.#options.queue, call))
    } catch (error) {
      this.#options.onFailure(error)
      throw error
    }
  }
}

/** Rejects when the answer does not come soon. The call belongs to no request: who leaves early is counted all the same. */
export async function askPatiently<Result>(
  question: (call: Call) => Promise<Result>,
): Promise<Result> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`PostgreSQL did not answer within ${PATIENCE_MS} ms`)),
    PATIENCE_MS,
  )
  const call = {
    caller: undefined,
    deadlineMs: performance.now() + PATIENCE_MS,
    ended: false,
    queuedMs: 0,
  }
  try {
    return await Promise.race([question(call), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
