// Runs in listeners. A place for one connection of the pool: whatever becomes of that, another is opened.
import { setTimeout as delay } from 'node:timers/promises'
import { AnswerMismatchError } from './failures.ts'
import type { Parameter, Purpose, Statement } from './operation.ts'

/** A connection that is settled and has prepared every statement. Which client is behind it, the pool cannot tell. */
export interface PoolConnection {
  readonly inFlight: number
  /** Runs a prepared statement; `sink` gets its rows and then one `done` or `failed`. */
  execute(statement: Statement, parameters: readonly Parameter[], sink: Sink): void
  /** Runs SQL without parameters. */
  query(text: string): Promise<(string | null)[][]>
  /** Ends the connection at once; every call without an answer fails with `error`. */
  destroy(error: Error): void
  /** Says good-bye. */
  end(): void
}

/** Who gets the answer of a call. */
export interface Sink {
  row(bytes: Buffer, fields: Int32Array): void
  done(): void
  /** `sent` is false when PostgreSQL cannot have seen the statement. */
  failed(error: Error, sent: boolean): void
}

/** Opens one connection: connects, settles the session, prepares the statements. Tries nothing twice. */
export type Open = (handlers: {
  onWarming: () => void
  onClosed: (error: Error) => void
  signal: AbortSignal
}) => Promise<PoolConnection>

export type PoolEvent =
  | { type: 'lost'; error: Error }
  | { type: 'unreachable'; error: Error }
  | { type: 'ready' }
  | { type: 'mismatch'; error: Error }

/**
 * - `connecting`: there is no connection, and one is being opened.
 * - `warming`: it is being settled and prepares its statements.
 * - `ready`: it carries statements.
 * - `retired`: what is in flight on it may finish; nothing new is sent.
 */
export type SlotState = 'connecting' | 'warming' | 'ready' | 'retired'

export interface SlotOptions {
  purposes: readonly Purpose[]
  open: Open
  /** Ends the slot; its connection must be ended by then. */
  signal: AbortSignal
  /** Called when the state or the number of failures has changed. */
  onChange: (slot: Slot) => void
  onEvent: (event: PoolEvent) => void
}

const BACKOFF_MS_MAX = 1000
/** With two listeners of three connections, a server that is away is dialled at most twenty times in a second. */
const BACKOFF_MS_FIRST = 150
/** A connection that has given this many answers, or has lasted for the longest back-off, was worth opening. */
const WORTH_ANSWERS = 10
const RETIRE_POLL_MS = 10

export class Slot {
  readonly purposes: readonly Purpose[]
  state: SlotState = 'connecting'
  connection: PoolConnection | undefined
  usedAtMs = 0
  /** Attempts that failed in a row, to open a connection or to get an answer of it. */
  failures = 0
  /** Why the last of them failed. */
  failure: Error | undefined
  /** Answers that this connection has given. */
  answered = 0
  /** Connections here that ended, so that another was opened. */
  replaced = 0
  #readyAtMs = 0
  readonly #options: SlotOptions

  constructor(options: SlotOptions) {
    this.purposes = options.purposes
    this.#options = options
  }

  get inFlight(): number {
    return this.connection?.inFlight ?? 0
  }

  /** Keeps a connection here until the pool closes. Never rejects. */
  async maintain(): Promise<void> {
    const { signal, onEvent } = this.#options
    while (!signal.aborted) {
      const startedAtMs = performance.now()
      try {
        const error = await this.#live()
        if (signal.aborted) return
        this.replaced += 1
        onEvent({ type: error instanceof AnswerMismatchError ? 'mismatch' : 'lost', error })
        // It is replaced at once when it was worth it; of a server that lets nothing last not much is asked.
        const lastedMs = performance.now() - this.#readyAtMs
        const worth = this.answered >= WORTH_ANSWERS || lastedMs >= BACKOFF_MS_MAX
        this.failures = worth ? 0 : this.failures + 1
      } catch (error) {
        if (signal.aborted) return
        this.failures += 1
        this.failure = error as Error
        this.#options.onChange(this)
        onEvent({ type: 'unreachable', error: error as Error })
      }
      if (this.failures > 0) {
        // An attempt that took long has been a wait already.
        const pauseMs = Math.max(backoffMs(this.failures) - (performance.now() - startedAtMs), 0)
        const wait = delay(pauseMs, undefined, { signal, ref: false })
        await wait.catch(() => undefined)
      }
    }
  }

  /** One connection from its opening to its end; resolves with why it ended, rejects when it could not be opened. */
  async #live(): Promise<Error> {
    const { open, signal } = this.#options
    const closed = Promise.withResolvers<Error>()
    let ended = false
    const connection = await open({
      onWarming: () => this.#become('warming'),
      // At once: the calls that fail with it must not be run on it again.
      onClosed: (error) => {
        ended = true
        this.connection = undefined
        this.#become('connecting')
        closed.resolve(error)
      },
      signal,
    })
    // PostgreSQL may end it together with its last answer, and the pool while it is being opened.
    if (ended) throw await closed.promise
    if (signal.aborted) {
      connection.end()
      return closed.promise
    }
    this.connection = connection
    this.answered = 0
    this.#readyAtMs = performance.now()
    this.usedAtMs = this.#readyAtMs
    this.failure = undefined
    this.#become('ready')
    return closed.promise
  }

  #become(state: SlotState): void {
    this.state = state
    this.#options.onChange(this)
  }

  /** Takes the connection out of use because of what PostgreSQL said about its statements. */
  retire(error: Error): void {
    const { connection } = this
    if (this.state !== 'ready' || !connection) return
    this.#become('retired')
    const end = () => {
      if (connection.inFlight > 0) setTimeout(end, RETIRE_POLL_MS).unref()
      else connection.destroy(error)
    }
    setImmediate(end)
  }

  /** True when the connection answers in time. Never rejects. */
  async ping(timeoutMs: number): Promise<boolean> {
    if (!this.connection) return false
    const late = new AbortController()
    const answered = this.connection.query('select 1').then(
      () => true,
      () => false,
    )
    const timeout = delay(timeoutMs, false, { signal: late.signal }).catch(() => false)
    const alive = await Promise.race([answered, timeout])
    late.abort()
    return alive
  }
}

/** The waits between attempts double up to a second, and are longer by chance, so that listeners do not keep step. */
function backoffMs(failures: number): number {
  const full = Math.min(BACKOFF_MS_FIRST * 2 ** (failures - 1), BACKOFF_MS_MAX)
  return full * (1 + Math.random() / 2)
}
