// Runs in a thread of its own. An open loop over kept connections that costs little: it looks at nothing but statuses.
import { createHistogram, record } from '../../bench/load/latency.ts'
import type { SeedUser } from '../../bench/load/scenario.ts'
import { seededRandom } from '../../bench/load/scenario.ts'
import { Connection } from '../../bench/load/sender.ts'
import { mixed } from '../../bench/scenarios/mixed.ts'
import { countStatus, createTally, type Tally } from './tally.ts'

export interface SteadyLoadOptions {
  url: string
  users: readonly SeedUser[]
  connections: number
  ratePerSecond: number
  seed: number
  /** After so many requests a connection is replaced; by default never. */
  requestsPerConnection?: number
}

export interface SteadyLoadReport {
  tally: Tally
  /** Requests that were due while every connection was busy. */
  skipped: number
  /** Of good answers. */
  p99Ms: number
}

const TICK_MS = 2
const REOPEN_MS = 100

export class SteadyLoad {
  ratePerSecond: number
  readonly #options: SteadyLoadOptions
  readonly #free: Connection[] = []
  readonly #sentBy = new Map<Connection, number>()
  readonly #timer: NodeJS.Timeout
  #random: () => number
  #tickedAt = performance.now()
  #due = 0
  #inFlight = 0
  #tally = createTally()
  #skipped = 0
  #latency = createHistogram()

  constructor(options: SteadyLoadOptions) {
    this.#options = options
    this.ratePerSecond = options.ratePerSecond
    this.#random = seededRandom(options.seed)
    for (let count = 0; count < options.connections; count += 1) void this.#open()
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** What has happened since the last report. */
  report(): SteadyLoadReport {
    const report = {
      tally: this.#tally,
      skipped: this.#skipped,
      p99Ms: this.#latency.getValueAtPercentile(99) / 1000,
    }
    this.#tally = createTally()
    this.#skipped = 0
    this.#latency = createHistogram()
    return report
  }

  /** Sends nothing more; resolves when all is answered, or after `patienceMs`. */
  async stop(patienceMs: number): Promise<void> {
    clearInterval(this.#timer)
    const deadline = performance.now() + patienceMs
    while (this.#inFlight > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    }
    this.#tally.lost += this.#inFlight
    for (const connection of this.#sentBy.keys()) {
      connection.events = undefined
      connection.close()
    }
  }

  #tick(): void {
    const now = performance.now()
    this.#due += ((now - this.#tickedAt) / 1000) * this.ratePerSecond
    this.#tickedAt = now
    for (; this.#due >= 1; this.#due -= 1) {
      // In turn: one that is left alone for ten seconds is closed, and what is sent just then is lost.
      const connection = this.#free.shift()
      if (connection) this.#send(connection, now)
      else this.#skipped += 1
    }
  }

  #send(connection: Connection, now: number): void {
    this.#tally.sent += 1
    this.#inFlight += 1
    this.#sentBy.set(connection, (this.#sentBy.get(connection) ?? 0) + 1)
    connection.send(now)
  }

  async #open(): Promise<void> {
    const { url, users, requestsPerConnection = Number.POSITIVE_INFINITY } = this.#options
    try {
      const connection = await Connection.open(url, mixed.requests(users, this.#random))
      this.#sentBy.set(connection, 0)
      connection.events = {
        onAnswer: (_, status) => {
          this.#answer(connection, status)
          if ((this.#sentBy.get(connection) ?? 0) < requestsPerConnection) {
            this.#free.push(connection)
          } else connection.close()
        },
        onClose: () => this.#replace(connection),
      }
      this.#free.push(connection)
    } catch {
      setTimeout(() => void this.#open(), REOPEN_MS)
    }
  }

  #answer(connection: Connection, status: number): void {
    countStatus(this.#tally, status)
    if (status < 300) record(this.#latency, performance.now() - connection.sinceMs)
    this.#inFlight -= 1
    connection.sinceMs = -1
  }

  #replace(connection: Connection): void {
    if (connection.busy) {
      this.#tally.lost += 1
      this.#inFlight -= 1
    }
    const at = this.#free.indexOf(connection)
    if (at >= 0) this.#free.splice(at, 1)
    this.#sentBy.delete(connection)
    void this.#open()
  }
}
