// Open-loop load: requests are due at fixed times whether the server keeps up or not, and their latency counts from the
// time they were due. Every request that was due during a stall shows it, so no latency is omitted.
import { writeFileSync } from 'node:fs'
import { createHistogram, type LatencySummary, record, summarize } from './latency.ts'
import { type Connection, type ConnectionOptions, openConnections } from './sender.ts'

/** How long the sender sleeps before it looks at its sockets and its clock again. */
const NAP_MS = 0.02
/** Time for late answers after the last request was due. */
const GRACE_MS = 10_000

export interface OpenLoopOptions extends ConnectionOptions {
  requestsPerSecond: number
  durationSeconds: number
  statuses: readonly number[]
  signal: AbortSignal
}

export interface OpenLoopResult {
  offered_per_second: number
  latency: LatencySummary
  /** How long after they were due requests were sent although a connection was free: the sender's own error. */
  lateness_p99_us: number
  /** Wrong statuses, broken connections and requests without an answer. */
  errors: number
  generator_cpu: number
}

const nap = new Int32Array(new SharedArrayBuffer(4))

/** Sends at a uniform rate over a fixed set of kept connections. A request that finds none free waits, which counts. */
export class OpenLoop {
  readonly #options: OpenLoopOptions
  readonly #connections: Connection[]
  readonly #free: Connection[]
  readonly #backlog: number[] = []
  readonly #latency = createHistogram()
  readonly #lateness = createHistogram()
  readonly #expected: ReadonlySet<number>
  #errors = 0
  #inFlight = 0

  private constructor(options: OpenLoopOptions, connections: Connection[]) {
    this.#options = options
    this.#connections = connections
    this.#free = [...connections]
    this.#expected = new Set(options.statuses)
    for (const connection of connections) {
      connection.events = {
        onAnswer: (_, status) => this.#answer(connection, status),
        onClose: () => this.#lose(connection),
      }
    }
  }

  static async run(options: OpenLoopOptions): Promise<OpenLoopResult> {
    const connections = await openConnections(options)
    sharpenTimers()
    const loop = new OpenLoop(options, connections)
    try {
      return await loop.#run()
    } finally {
      for (const connection of connections) connection.close()
    }
  }

  async #run(): Promise<OpenLoopResult> {
    const { requestsPerSecond, durationSeconds, signal } = this.#options
    const total = Math.floor(requestsPerSecond * durationSeconds)
    const intervalMs = 1000 / requestsPerSecond
    const cpuBefore = process.cpuUsage()
    const startedAt = performance.now()
    const endsAt = startedAt + durationSeconds * 1000
    let sent = 0
    while (sent < total || this.#inFlight > 0 || this.#backlog.length > 0) {
      signal.throwIfAborted()
      const now = performance.now()
      if (now > endsAt + GRACE_MS || this.#connections.length === 0) break
      while (sent < total && startedAt + sent * intervalMs <= now) {
        this.#due(startedAt + sent * intervalMs)
        sent += 1
      }
      // A sleeping sender leaves the CPU to the server; a spinning one would take half of a two-core machine.
      Atomics.wait(nap, 0, 0, NAP_MS)
      await turn()
    }
    const seconds = (performance.now() - startedAt) / 1000
    const cpu = process.cpuUsage(cpuBefore)
    return {
      offered_per_second: requestsPerSecond,
      latency: summarize(this.#latency),
      lateness_p99_us: this.#lateness.getValueAtPercentile(99),
      errors: this.#errors + this.#inFlight + this.#backlog.length + (total - sent),
      generator_cpu: (cpu.user + cpu.system) / 1e6 / seconds,
    }
  }

  #due(dueMs: number): void {
    // In turn: servers close connections that are idle for some seconds.
    const connection = this.#free.shift()
    if (connection) {
      record(this.#lateness, performance.now() - dueMs)
      this.#send(connection, dueMs)
    } else {
      this.#backlog.push(dueMs)
    }
  }

  #send(connection: Connection, dueMs: number): void {
    this.#inFlight += 1
    connection.send(dueMs)
  }

  #answer(connection: Connection, status: number): void {
    if (this.#expected.has(status)) record(this.#latency, performance.now() - connection.sinceMs)
    else this.#errors += 1
    this.#inFlight -= 1
    connection.sinceMs = -1
    const waiting = this.#backlog.shift()
    if (waiting === undefined) this.#free.push(connection)
    else this.#send(connection, waiting)
  }

  /** A lost connection is not replaced: its request got no answer, which makes the run invalid. */
  #lose(connection: Connection): void {
    this.#errors += 1
    if (connection.busy) this.#inFlight -= 1
    const at = this.#free.indexOf(connection)
    if (at >= 0) this.#free.splice(at, 1)
    this.#connections.splice(this.#connections.indexOf(connection), 1)
  }
}

/** Waits for one turn of the event loop, in which sockets are read. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** By default, Linux lets sleeping threads oversleep by 50 us. */
function sharpenTimers(): void {
  try {
    writeFileSync('/proc/self/timerslack_ns', '1')
  } catch {
    // On other systems the sender is a little later. The report contains its lateness.
  }
}
