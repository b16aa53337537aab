// Runs in listeners. How many connections each client has, as exactly as it is needed.
import type { Logger } from '../observe/log.ts'
import { isFair, type ShareLimits } from './shares.ts'

/** Time between two counts: a multiple of what the last one took, within bounds. */
const REST_FACTOR = 5
const REST_MS_MIN = 500
const REST_MS_MAX = 2000

/**
 * Learns of each connection that is opened, but not whose connection has ended: so its numbers are too high more and more,
 * and before it refuses a client for them, it has the connections counted.
 */
export class Census {
  readonly #limits: ShareLimits
  readonly #count: () => Promise<Map<string, number>>
  readonly #log: Logger
  #held = new Map<string, number>()
  /** The same, of connections that were opened since a count began. */
  #sinceCount: Map<string, number> | undefined
  /** Connections that were opened since the numbers were exact. */
  #opened = 0
  #restsUntilMs = 0
  /** False once the connections could not be counted. */
  #usable = true

  /** @param count counts the connections that are open at its call, by client */
  constructor(limits: ShareLimits, count: () => Promise<Map<string, number>>, log: Logger) {
    this.#limits = limits
    this.#count = count
    this.#log = log
  }

  /**
   * Takes note of a client's new connection, unless it exceeds the client's share: then it is to be closed.
   *
   * @param open connections of all clients, with this one
   */
  admit(client: string, open: number): boolean {
    if (!this.#usable) return true
    const held = Math.min((this.#held.get(client) ?? 0) + 1, open)
    const fair = isFair(this.#limits, held, open)
    if (fair) this.#add(client, held)
    // Early, so that the count is there when it is needed; and after the addition, because it finds this connection.
    if (!isFair(this.#limits, 2 * held, open)) void this.#recount()
    else if (this.#opened > this.#limits.max) this.#refresh(open)
    return fair
  }

  #add(client: string, held: number): void {
    this.#held.set(client, held)
    this.#sinceCount?.set(client, (this.#sinceCount.get(client) ?? 0) + 1)
    this.#opened += 1
  }

  /** Bounds how many clients are remembered. What few connections are left then is counted when it matters. */
  #refresh(open: number): void {
    if (2 * open > this.#limits.alone) {
      void this.#recount()
    } else {
      this.#held.clear()
      this.#opened = 0
    }
  }

  /** Never rejects. */
  async #recount(): Promise<void> {
    const startedAtMs = performance.now()
    if (this.#sinceCount || startedAtMs < this.#restsUntilMs) return
    const opened = new Map<string, number>()
    this.#sinceCount = opened
    try {
      const held = await this.#count()
      for (const [client, more] of opened) held.set(client, (held.get(client) ?? 0) + more)
      this.#held = held
      this.#opened = 0
    } catch (err) {
      this.#usable = false
      this.#log.warn({ err }, 'Cannot count connections, so one client may take all of them')
    }
    this.#sinceCount = undefined
    const now = performance.now()
    const restMs = Math.max(REST_FACTOR * (now - startedAtMs), REST_MS_MIN)
    this.#restsUntilMs = now + Math.min(restMs, REST_MS_MAX)
  }
}
