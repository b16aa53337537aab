// Runs in a process of its own, so that its clock is not held up by anything else: floods a service with requests from
// raw sockets, then offers what the service can bear, and prints what became of all of them as JSON.
import { setTimeout as delay } from 'node:timers/promises'
import type { Histogram } from 'hdr-histogram-js'
import { createHistogram, record } from '../../bench/load/latency.ts'
import { type BenchRequest, seededRandom } from '../../bench/load/scenario.ts'
import { Connection } from '../../bench/load/sender.ts'
import { mixed } from '../../bench/scenarios/mixed.ts'
import { seedUser } from '../../bench/servers/database.ts'
import { normalAfterMs, type Sample } from './meter.ts'

export interface FloodOptions {
  url: string
  connections: number
  /** Requests that are due per second; without it, each connection asks again as soon as it has its answer. */
  ratePerSecond?: number
  seconds: number
  /** Seeded accounts, and the tasks of each. */
  users: number
  tasksPerUser: number
  /** True for requests without a token, which are refused whatever the load. */
  anonymous?: boolean
  seed: number
  /** Offered as soon as the flood is over, on new connections: a service closes those that were idle meanwhile. */
  afterwards?: { ratePerSecond: number; seconds: number; latencyMsMax: number }
}

export interface Latencies {
  count: number
  p50Ms: number
  p99Ms: number
}

export interface FloodReport {
  seconds: number
  good: Latencies
  /** Answers of 503. */
  refused: Latencies
  /** Answers of any other status: how many of each. */
  others: Record<string, number>
  /** Requests that were due while every connection was busy: not sent. */
  unsent: number
  /** Requests whose answer did not come, or whose connection was closed. */
  unanswered: number
  /** How soon after the flood the service was normal again; null when it was not. */
  normalAfterMs: number | null
  /** Share of one CPU that this process used. */
  cpu: number
}

/** How long the sender sleeps before it looks at its sockets and its clock again. */
const NAP_MS = 0.1
/** Requests may take this long after the last was sent before they count as unanswered. */
const GRACE_MS = 5000
const GRACE_STEP_MS = 20
const AFTERWARDS_CONNECTIONS = 256
/** Connections that are opened at a time: no more than the queue of a listen socket holds. */
const OPENED_AT_ONCE = 256
/** Each connection repeats so many requests, which it takes from a common stock: 10 000 must fit into memory. */
const REQUESTS_EACH = 20
const STOCK_ROUNDS = 16

const nap = new Int32Array(new SharedArrayBuffer(4))

class Flood {
  readonly #options: FloodOptions
  readonly #connections: readonly Connection[]
  readonly #open: (count: number) => Promise<Connection[]>
  #spare: readonly Connection[] = []
  readonly #good = createHistogram()
  readonly #refused = createHistogram()
  readonly #others: Record<string, number> = {}
  readonly #samples: Sample[] = []
  #unsent = 0
  #lost = 0
  #inFlight = 0
  #flooding = true

  constructor(
    options: FloodOptions,
    connections: readonly Connection[],
    open: (count: number) => Promise<Connection[]>,
  ) {
    this.#options = options
    this.#connections = connections
    this.#open = open
  }

  async run(): Promise<FloodReport> {
    const { ratePerSecond, seconds, afterwards } = this.#options
    const cpuBefore = process.cpuUsage()
    const startedAt = performance.now()
    if (ratePerSecond) await this.#offer(ratePerSecond)
    else await this.#askAgainAndAgain()
    this.#flooding = false
    const cpu = process.cpuUsage(cpuBefore)
    const tookSeconds = (performance.now() - startedAt) / 1000
    if (afterwards) await this.#offerAfterwards(afterwards)
    await this.#untilAnswered()
    return {
      seconds,
      good: summarize(this.#good),
      refused: summarize(this.#refused),
      others: this.#others,
      unsent: this.#unsent,
      unanswered: this.#inFlight + this.#lost,
      normalAfterMs: afterwards
        ? (normalAfterMs(this.#samples, afterwards.latencyMsMax) ?? null)
        : 0,
      cpu: (cpu.user + cpu.system) / 1e6 / tookSeconds,
    }
  }

  async #askAgainAndAgain(): Promise<void> {
    this.#receive(this.#connections, (connection, status, nowMs) => {
      this.#count(status, nowMs - connection.sinceMs)
      if (this.#flooding) this.#send(connection, nowMs)
    })
    for (const connection of this.#connections) this.#send(connection, performance.now())
    await delay(this.#options.seconds * 1000)
  }

  async #offer(ratePerSecond: number): Promise<void> {
    const free = [...this.#connections]
    this.#receive(this.#connections, (connection, status, nowMs) => {
      this.#count(status, nowMs - connection.sinceMs)
      free.push(connection)
    })
    await atRate(ratePerSecond, this.#options.seconds, (dueMs) => {
      const connection = free.pop()
      if (connection) this.#send(connection, dueMs)
      else this.#unsent += 1
    })
  }

  async #offerAfterwards({
    ratePerSecond,
    seconds,
  }: NonNullable<FloodOptions['afterwards']>): Promise<void> {
    const startedAt = performance.now()
    this.#spare = await this.#open(AFTERWARDS_CONNECTIONS)
    const free = [...this.#spare]
    const sample = (dueMs: number, latencyMs: number, good: boolean) =>
      this.#samples.push({ dueMs: dueMs - startedAt, latencyMs, good })
    this.#receive(this.#spare, (connection, status, nowMs) => {
      sample(connection.sinceMs, nowMs - connection.sinceMs, isGood(status))
      free.push(connection)
    })
    await atRate(ratePerSecond, seconds, (dueMs) => {
      const connection = free.pop()
      if (connection) this.#send(connection, dueMs)
      else sample(dueMs, Number.POSITIVE_INFINITY, false)
    })
  }

  #receive(
    connections: readonly Connection[],
    onAnswer: (connection: Connection, status: number, nowMs: number) => void,
  ): void {
    const events = {
      onAnswer: (connection: Connection, status: number) => {
        this.#inFlight -= 1
        onAnswer(connection, status, performance.now())
      },
      onClose: () => {
        this.#lost += 1
      },
    }
    for (const connection of connections) connection.events = events
  }

  #send(connection: Connection, dueMs: number): void {
    this.#inFlight += 1
    connection.send(dueMs)
  }

  #count(status: number, latencyMs: number): void {
    if (isGood(status)) record(this.#good, latencyMs)
    else if (status === 503) record(this.#refused, latencyMs)
    else this.#others[status] = (this.#others[status] ?? 0) + 1
  }

  async #untilAnswered(): Promise<void> {
    const endsAt = performance.now() + GRACE_MS
    while (this.#inFlight > 0 && performance.now() < endsAt) {
      await delay(GRACE_STEP_MS)
    }
    for (const connection of [...this.#connections, ...this.#spare]) {
      connection.events = undefined
      connection.close()
    }
  }
}

function isGood(status: number): boolean {
  return mixed.statuses.includes(status)
}

/** Calls `send` for each request that is due, with the time when it was, whether the service keeps up or not. */
async function atRate(
  ratePerSecond: number,
  seconds: number,
  send: (dueMs: number) => void,
): Promise<void> {
  const total = Math.round(ratePerSecond * seconds)
  const startedAt = performance.now()
  for (let due = 0; due < total; ) {
    const now = performance.now()
    for (; due < total; due += 1) {
      const dueMs = startedAt + (due * 1000) / ratePerSecond
      if (dueMs > now) break
      send(dueMs)
    }
    Atomics.wait(nap, 0, 0, NAP_MS)
    await turn()
  }
}

/** Waits for one turn of the event loop, in which sockets are read. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function summarize(histogram: Histogram): Latencies {
  return {
    count: histogram.totalCount,
    p50Ms: histogram.getValueAtPercentile(50) / 1000,
    p99Ms: histogram.getValueAtPercentile(99) / 1000,
  }
}

function makeStock({ users, tasksPerUser, anonymous, seed }: FloodOptions): BenchRequest[] {
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
  const accounts = numbers(users).map((user) => seedUser(user, numbers(tasksPerUser)))
  const random = seededRandom(seed)
  const stock = numbers(STOCK_ROUNDS).flatMap(() => mixed.requests(accounts, random))
  if (anonymous) for (const request of stock) delete request.headers.authorization
  return stock
}

async function openAll(
  url: string,
  count: number,
  stock: readonly BenchRequest[],
): Promise<Connection[]> {
  const connections: Connection[] = []
  while (connections.length < count) {
    const next = Math.min(OPENED_AT_ONCE, count - connections.length)
    const opened = Array.from({ length: next }, (_, index) => {
      const from = ((connections.length + index) * REQUESTS_EACH) % stock.length
      return Connection.open(url, stock.slice(from, from + REQUESTS_EACH))
    })
    connections.push(...(await Promise.all(opened)))
  }
  return connections
}

const options: FloodOptions = JSON.parse(process.argv[2] ?? '')
const stock = makeStock(options)
const open = (count: number) => openAll(options.url, count, stock)
const connections = await open(options.connections)
process.stdout.write(JSON.stringify(await new Flood(options, connections, open).run()))
