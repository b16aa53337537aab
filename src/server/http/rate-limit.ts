// Runs in listeners. The general limit on the rate of requests, per account or per client.
import { Problem } from './problem.ts'

const MS_PER_SECOND = 1000
/** Keys in each of the two generations that are remembered; together they take up to 4 MB. */
const GENERATION_SIZE = 16_384

/** So many requests in so many seconds. */
export interface Rate {
  readonly requests: number
  readonly seconds: number
}

/** A request, as far as it is counted. */
interface Counted {
  readonly startedAtMs: number
  /** Header lines that the answer gets. */
  lines: string
}

/** What became of one request. */
export interface Share {
  readonly admitted: boolean
  /** Requests that would be admitted now. */
  readonly remaining: number
  /** Until the next request is admitted, when this one was not; otherwise until all of the quota is there again. */
  readonly waitMs: number
}

interface Bucket {
  /** When all of its quota is there again, by `performance.now()`: the one number that a key needs. */
  wholeAtMs: number
}

/** Made once: a flood brings thousands a second. */
const TOO_MANY = new Problem('too_many_requests', 'Too many requests, try again later')

/**
 * Admits `requests` at once, and then one whenever its part of `seconds` has passed. A key that has not been used while
 * 16 384 others were is forgotten, which gives it back its whole quota.
 */
export class RateLimit {
  admitted = 0
  refused = 0
  readonly #windowMs: number
  readonly #intervalMs: number
  readonly #policyLine: string
  #young = new Map<string, Bucket>()
  #old = new Map<string, Bucket>()

  constructor(rate: Rate) {
    this.#windowMs = rate.seconds * MS_PER_SECOND
    this.#intervalMs = this.#windowMs / rate.requests
    this.#policyLine = `\r\nratelimit-policy: "default";q=${rate.requests};w=${rate.seconds}`
  }

  /** Takes one request from the quota of `key`. */
  take(key: string, nowMs: number): Share {
    const bucket = this.#bucketOf(key)
    const wholeAtMs = Math.max(bucket.wholeAtMs, nowMs) + this.#intervalMs
    const spareMs = nowMs + this.#windowMs - wholeAtMs
    // Sums of fractions are not exact: a thousandth of an interval is not worth a refusal.
    if (spareMs < -this.#intervalMs / MS_PER_SECOND) {
      return { admitted: false, remaining: 0, waitMs: -spareMs }
    }
    bucket.wholeAtMs = wholeAtMs
    const remaining = Math.max(0, Math.floor(spareMs / this.#intervalMs + 1 / MS_PER_SECOND))
    return { admitted: true, remaining, waitMs: wholeAtMs - nowMs }
  }

  /** Counts the request for `key` and gives its answer the fields of the limit. Throws when it is one too many. */
  count(request: Counted, key: string): void {
    const { admitted, remaining, waitMs } = this.take(key, request.startedAtMs)
    const seconds = Math.max(1, Math.ceil(waitMs / MS_PER_SECOND))
    request.lines = `${this.#policyLine}\r\nratelimit: "default";r=${remaining};t=${seconds}`
    if (admitted) {
      this.admitted += 1
      return
    }
    this.refused += 1
    request.lines += `\r\nretry-after: ${seconds}`
    throw TOO_MANY
  }

  #bucketOf(key: string): Bucket {
    const young = this.#young.get(key)
    if (young) return young
    const bucket = this.#old.get(key) ?? { wholeAtMs: 0 }
    if (this.#young.size >= GENERATION_SIZE) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, bucket)
    return bucket
  }
}
