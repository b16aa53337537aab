// Closed-loop load from raw sockets, for servers that answer faster than autocannon can ask. It takes a fraction of
// autocannon's CPU, because its only statistic is a histogram and it parses only the headers that it needs.
import type { ClosedLoopOptions, ClosedLoopResult } from './closed-loop.ts'
import { createHistogram, record, summarize } from './latency.ts'
import { type Connection, openConnections } from './sender.ts'

/** Time for late answers after the last request. */
const GRACE_MS = 10_000

/** Each connection sends its next request when it has its answer. Sends nothing after `durationSeconds`. */
export class SaturatingLoop {
  readonly #latency = createHistogram()
  readonly #expected: ReadonlySet<number>
  readonly #endsAt: number
  #lastAnswerAt = 0
  #errors = 0
  /** Connections with a request in flight. */
  #inFlight = 0
  #finish: () => void = () => undefined

  private constructor(options: ClosedLoopOptions) {
    this.#expected = new Set(options.statuses)
    this.#endsAt = performance.now() + options.durationSeconds * 1000
  }

  static async run(options: ClosedLoopOptions): Promise<ClosedLoopResult> {
    options.signal.throwIfAborted()
    const connections = await openConnections(options)
    const cpuBefore = process.cpuUsage()
    const startedAt = performance.now()
    const loop = new SaturatingLoop(options)
    try {
      await loop.#run(connections, options.signal)
    } finally {
      for (const connection of connections) connection.close()
    }
    options.signal.throwIfAborted()
    const seconds = (loop.#lastAnswerAt - startedAt) / 1000
    const cpu = process.cpuUsage(cpuBefore)
    return {
      requests_per_second: seconds > 0 ? loop.#latency.totalCount / seconds : 0,
      latency: summarize(loop.#latency),
      errors: loop.#errors + loop.#inFlight,
      generator_cpu: (cpu.user + cpu.system) / 1e6 / Math.max(seconds, 0.001),
    }
  }

  /** Resolves when the last answer has arrived, or will not arrive. */
  async #run(connections: readonly Connection[], signal: AbortSignal): Promise<void> {
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    const timer = setTimeout(this.#finish, this.#endsAt + GRACE_MS - performance.now())
    signal.addEventListener('abort', this.#finish)
    const events = {
      onAnswer: (connection: Connection, status: number) => this.#answer(connection, status),
      onClose: (connection: Connection) => this.#lose(connection),
    }
    this.#inFlight = connections.length
    for (const connection of connections) {
      connection.events = events
      connection.send(performance.now())
    }
    await finished
    clearTimeout(timer)
    signal.removeEventListener('abort', this.#finish)
    for (const connection of connections) connection.events = undefined
  }

  #answer(connection: Connection, status: number): void {
    const now = performance.now()
    this.#lastAnswerAt = now
    if (this.#expected.has(status)) record(this.#latency, now - connection.sinceMs)
    else this.#errors += 1
    if (now < this.#endsAt) connection.send(now)
    else this.#rest(connection)
  }

  /** A lost connection is not replaced: its request got no answer, which makes the run invalid. */
  #lose(connection: Connection): void {
    this.#errors += 1
    if (connection.busy) this.#rest(connection)
  }

  #rest(connection: Connection): void {
    connection.sinceMs = -1
    this.#inFlight -= 1
    if (this.#inFlight === 0) this.#finish()
  }
}
