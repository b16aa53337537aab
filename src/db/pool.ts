// Runs in listeners. The connections of one listener: few, each with a purpose, and disposable. Whatever is not a clean
// answer or a clean refusal destroys its connection; another is opened, settled, warmed, and only then used.
import { setTimeout as delay } from 'node:timers/promises'
import type { Carrier, Work } from './batch.ts'
import { classify, type Failure, isOfConnection } from './failures.ts'
import type { Parameter, Purpose, Statement } from './operation.ts'
import { checkCarrier } from './probe.ts'
import { type Open, type PoolEvent, Slot, type SlotState } from './slot.ts'
import { ConnectionError } from './wire/error.ts'

export interface PoolOptions {
  connections: number
  open: Open
  /** Longest time that an idle connection goes without being asked whether it lives. */
  idlePingMs: number
  /** Longest wait for the answer to that. */
  pingTimeoutMs: number
  onEvent(event: PoolEvent): void
}

/** What a pool has and has counted. */
export interface PoolStats {
  readonly connections: readonly {
    readonly purposes: readonly Purpose[]
    readonly state: SlotState
    /** How many in its place were lost and replaced. */
    readonly replaced: number
  }[]
  /** Statements that failed, each time that they were run, by what the failure means. */
  readonly failures: Readonly<Record<Failure, number>>
}

/** The connections of one listener. */
export interface Pool extends Carrier {
  /** Resolves once every connection is ready, or once one could not be opened: false. They are opened all the same. */
  start(): Promise<boolean>
  /**
   * Resolves when a request would be served: there is a connection for every purpose, and each that is in use runs a
   * prepared statement within `timeoutMs` and can write. Rejects with the reason why not.
   */
  check(timeoutMs: number): Promise<void>
  /** Undefined before the start. */
  stats(): PoolStats | undefined
  /** Lets statements in flight finish for `timeoutMs`, then cuts them off. */
  close(timeoutMs: number): Promise<void>
}

const PURPOSES: readonly Purpose[] = ['read', 'insert', 'change']
/** Times that a statement is run again because of what PostgreSQL said about the connection or a conflict. */
const AGAIN_MAX = 3
const CLOSE_POLL_MS = 10
/** How long calls wait once it is known that no connection can be opened; when it has been known for longer, not at all. */
const OUTAGE_PATIENCE_MS = 100

export function openPool(options: PoolOptions): Pool {
  return new ConnectionPool(options)
}

class ConnectionPool implements Pool {
  readonly #options: PoolOptions
  readonly #slots: readonly Slot[]
  readonly #closing = new AbortController()
  readonly #waiting = new Set<() => void>()
  readonly #pinger: NodeJS.Timeout
  readonly #maintained: Promise<unknown>
  readonly #started = Promise.withResolvers<boolean>()
  readonly #failures = { unreachable: 0, busy: 0, retryable: 0, stale: 0, refused: 0 }
  /** Since when it is known that no connection can be opened. */
  #outageSinceMs: number | undefined

  constructor(options: PoolOptions) {
    this.#options = options
    this.#slots = Array.from(
      { length: options.connections },
      (_, index) =>
        new Slot({
          purposes: purposesOf(index, options.connections),
          open: options.open,
          signal: this.#closing.signal,
          onChange: (slot) => this.#changed(slot),
          onEvent: (event) => options.onEvent(event),
        }),
    )
    this.#maintained = Promise.all(this.#slots.map((slot) => slot.maintain()))
    this.#pinger = setInterval(() => this.#pingIdle(), options.idlePingMs).unref()
  }

  start(): Promise<boolean> {
    return this.#started.promise
  }

  stats(): PoolStats {
    return { connections: this.#slots, failures: this.#failures }
  }

  async run(statement: Statement, work: Work): Promise<void> {
    for (let again = 0; ; again += 1) {
      const slot =
        this.#pick(statement.purpose) ?? (await this.#whenReady(statement, work.deadlineMs))
      const parameters = work.begin()
      if (!parameters) return
      const failure = await this.#runOn(slot, statement, parameters, work)
      if (!failure) return
      const { error, sent } = failure
      if (again >= AGAIN_MAX || performance.now() >= work.deadlineMs) throw error
      if (!mayRunAgain(statement, error, sent)) throw error
    }
  }

  async check(timeoutMs: number): Promise<void> {
    const over = new AbortController()
    const late = delay(timeoutMs, undefined, { signal: over.signal, ref: false }).then(() => {
      throw new ConnectionError('ETIMEDOUT', 'A connection does not answer')
    })
    try {
      await Promise.race([this.#check(performance.now() + timeoutMs), late])
    } finally {
      late.catch(() => undefined)
      over.abort()
    }
  }

  /** A connection that is lost meanwhile, and replaced in time, is as good as for a request. */
  async #check(deadlineMs: number): Promise<void> {
    for (let again = 0; ; again += 1) {
      await Promise.all(PURPOSES.map((purpose) => this.#whenReady({ purpose }, deadlineMs)))
      const used = this.#slots.filter(({ state }) => state === 'ready')
      const checks = used.map((slot) => checkCarrier(this.#carrierOf(slot), deadlineMs))
      const outcomes = await Promise.allSettled(checks)
      const failure = outcomes.find((outcome) => outcome.status === 'rejected')
      if (!failure) return
      const lost = used.some(({ state }) => state !== 'ready')
      if (!lost || again >= AGAIN_MAX) throw failure.reason
    }
  }

  /** Runs statements on this slot, whatever their purpose, and nowhere else. */
  #carrierOf(slot: Slot): Carrier {
    return {
      run: async (statement, work) => {
        const parameters = work.begin()
        const failure = parameters && (await this.#runOn(slot, statement, parameters, work))
        if (failure) throw failure.error
      },
    }
  }

  async close(timeoutMs: number): Promise<void> {
    clearInterval(this.#pinger)
    const deadline = performance.now() + timeoutMs
    const busy = () => this.#slots.some(({ inFlight }) => inFlight > 0)
    while (busy() && performance.now() < deadline) await delay(CLOSE_POLL_MS)
    this.#closing.abort()
    for (const { connection } of this.#slots) connection?.end()
    this.#wake()
    await this.#maintained
  }

  /**
   * The least busy ready connection for `purpose`. One of another purpose only while those for this one cannot be opened:
   * a write that waits for a lock would hold up every read behind it.
   */
  #pick(purpose: Purpose): Slot | undefined {
    let best: Slot | undefined
    let other: Slot | undefined
    let failing = true
    for (const slot of this.#slots) {
      if (!slot.purposes.includes(purpose)) {
        if (slot.state === 'ready') other = lessBusy(other, slot)
      } else if (slot.state === 'ready') best = lessBusy(best, slot)
      else failing &&= slot.failures > 1
    }
    return best ?? (failing ? other : undefined)
  }

  /** Waits for a connection: until the deadline, but not long once it is known that none can be opened. */
  async #whenReady({ purpose }: Pick<Statement, 'purpose'>, deadlineMs: number): Promise<Slot> {
    for (;;) {
      const slot = this.#pick(purpose)
      if (slot) return slot
      if (this.#closing.signal.aborted) throw closedError()
      const outage = this.#outage()
      const untilMs = outage ? (this.#outageSinceMs ?? 0) + OUTAGE_PATIENCE_MS : deadlineMs
      const patienceMs = Math.min(untilMs, deadlineMs) - performance.now()
      // Whatever kept it from being opened, a statement that is refused perhaps, the caller was not refused.
      if (patienceMs <= 0) {
        this.#failures.unreachable += 1
        throw new ConnectionError('NOT_CONNECTED', 'No connection to PostgreSQL', outage)
      }
      await this.#nextChange(patienceMs)
    }
  }

  /** Why no connection can be opened. A single failure may be that of one session, and the next attempt comes soon. */
  #outage(): Error | undefined {
    if (this.#slots.some(({ state }) => state === 'ready')) return undefined
    return this.#slots.find(({ failures }) => failures > 1)?.failure
  }

  #changed(changed: Slot): void {
    if (this.#outage()) this.#outageSinceMs ??= performance.now()
    else this.#outageSinceMs = undefined
    if (changed.state === 'ready') {
      if (this.#slots.every(({ state }) => state === 'ready')) {
        this.#started.resolve(true)
        this.#options.onEvent({ type: 'ready' })
      }
    } else if (changed.failures > 0) {
      this.#started.resolve(false)
    }
    this.#wake()
  }

  #nextChange(patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, patienceMs)
      this.#waiting.add(wake)
    })
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Resolves with what went wrong, or nothing. */
  #runOn(
    slot: Slot,
    statement: Statement,
    parameters: readonly Parameter[],
    work: Work,
  ): Promise<{ error: Error; sent: boolean } | undefined> {
    const { connection } = slot
    if (!connection) return Promise.resolve({ error: closedError(), sent: false })
    slot.usedAtMs = performance.now()
    return new Promise((resolve) => {
      connection.execute(statement, parameters, {
        row: (bytes, fields) => work.row(bytes, fields),
        done: () => {
          try {
            work.end()
            slot.answered += 1
            resolve(undefined)
          } catch (error) {
            connection.destroy(error as Error)
            resolve({ error: error as Error, sent: true })
          }
        },
        failed: (error, sent) => {
          const failure = classify(error)
          if (failure) this.#failures[failure] += 1
          if (isOfConnection(error)) slot.retire(error)
          resolve({ error, sent })
        },
      })
    })
  }

  #pingIdle(): void {
    const { idlePingMs, pingTimeoutMs } = this.#options
    const limit = performance.now() - idlePingMs
    for (const slot of this.#slots) {
      if (slot.state !== 'ready' || slot.usedAtMs > limit) continue
      void slot.ping(pingTimeoutMs).then((alive) => {
        if (!alive)
          slot.connection?.destroy(new ConnectionError('ETIMEDOUT', 'No answer to a ping'))
      })
    }
  }
}

/** With one connection, all purposes; with two, reads apart from writes; else each its own, from the first on. */
function purposesOf(index: number, count: number): readonly Purpose[] {
  if (count === 1) return PURPOSES
  if (count === 2) return index === 0 ? ['read'] : ['insert', 'change']
  return PURPOSES.slice(index % PURPOSES.length, (index % PURPOSES.length) + 1)
}

function lessBusy(best: Slot | undefined, slot: Slot): Slot {
  if (!best) return slot
  return slot.inFlight < best.inFlight ? slot : best
}

/** Reads change nothing, and a statement that was not sent did not either. What PostgreSQL gave up changed nothing. */
function mayRunAgain(statement: Statement, error: Error, sent: boolean): boolean {
  const failure = classify(error)
  if (failure === 'stale' || failure === 'retryable') return true
  return failure === 'unreachable' && (!sent || statement.purpose === 'read')
}

function closedError(): ConnectionError {
  return new ConnectionError('CONNECTION_ENDED', 'The pool is closed')
}
