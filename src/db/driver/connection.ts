// Runs in listeners, with DB_CLIENT=postgres. One connection of the driver (postgres) under the pool's guards. Its rows
// are written as PostgreSQL's binary format has them, so that everything behind it is the same for both clients.
import type postgres from 'postgres'
import type { Address } from '../address.ts'
import type { Parameter, Statement } from '../operation.ts'
import type { PoolConnection, Sink } from '../slot.ts'
import { ConnectionError } from '../wire/error.ts'
import { Outbox } from '../wire/outbox.ts'
import { writeParameter } from '../wire/parameters.ts'
import { openClient, type Sql } from './client.ts'

export interface DriverOptions {
  connectTimeoutMs: number
  /** Longest time that the oldest call may wait for its answer; then the connection counts as dead. */
  answerTimeoutMs: number
  settings: Readonly<Record<string, string>>
  onClosed(error: Error): void
}

export interface DriverConnection extends PoolConnection {
  readonly processId: number | undefined
  prepare(statement: Statement): Promise<void>
}

const PREPARED = { prepare: true, simple: false } as unknown as postgres.UnsafeQueryOptions
const ROW_BYTES_MAX = 16 * 1024 * 1024
const ANSWER_CHECKS = 4

/** Connects for its first statement. The driver would connect again by itself; this connection never does. */
export function createDriverConnection(address: Address, options: DriverOptions): DriverConnection {
  return new OneConnection(address, options)
}

/** Who waits for an answer. */
type Waiting = Pick<Sink, 'failed'>

class OneConnection implements DriverConnection {
  readonly #options: DriverOptions
  readonly #sql: Sql
  readonly #row = new Outbox(ROW_BYTES_MAX)
  readonly #calls = new Map<Waiting, number>()
  readonly #watch: NodeJS.Timeout
  #closed: Error | undefined
  /** The number that the session was given at the start. */
  processId: number | undefined

  constructor(address: Address, options: DriverOptions) {
    this.#options = options
    this.#sql = openClient(address, {
      max: 1,
      connectTimeoutMs: options.connectTimeoutMs,
      onClosed: () => this.destroy(new ConnectionError('CONNECTION_CLOSED', 'Connection lost')),
    })
    this.#watch = setInterval(() => this.#check(), options.answerTimeoutMs / ANSWER_CHECKS).unref()
  }

  get inFlight(): number {
    return this.#calls.size
  }

  execute(statement: Statement, parameters: readonly Parameter[], sink: Sink): void {
    if (this.#closed) {
      sink.failed(this.#closed, false)
      return
    }
    this.#calls.set(sink, performance.now())
    this.#sql.unsafe<Record<string, unknown>[]>(statement.text, [...parameters], PREPARED).then(
      (rows) => this.#settle(sink, () => this.#handOut(statement, rows, sink)),
      (error: Error) => this.#settle(sink, () => sink.failed(error, true)),
    )
  }

  async prepare({ text, parameters }: Statement): Promise<void> {
    const nothing = parameters.map(() => null)
    await this.#answer(this.#sql.unsafe(text, nothing, PREPARED).describe())
  }

  async query(text: string): Promise<(string | null)[][]> {
    const rows = await this.#answer(this.#sql.unsafe(text).simple().values())
    this.processId = rows.state?.pid
    return rows.map((row) => [...row].map((value) => (value === null ? null : String(value))))
  }

  destroy(error: Error): void {
    if (this.#closed) return
    this.#closed = error
    clearInterval(this.#watch)
    const sinks = [...this.#calls.keys()]
    this.#calls.clear()
    void this.#sql.end({ timeout: 0 }).catch(() => undefined)
    for (const sink of sinks) sink.failed(error, true)
    this.#options.onClosed(error)
  }

  end(): void {
    this.destroy(new ConnectionError('CONNECTION_ENDED', 'The connection was ended here'))
  }

  /** What the driver answers, unless the connection ends first: the driver alone would wait for ever. */
  #answer<Result>(answer: PromiseLike<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiting = { failed: reject }
      if (this.#closed) reject(this.#closed)
      else this.#calls.set(waiting, performance.now())
      answer.then(
        (result) => this.#settle(waiting, () => resolve(result)),
        (error: Error) => this.#settle(waiting, () => reject(error)),
      )
    })
  }

  /** Only the first answer of a call counts: it may have failed with its connection. */
  #settle(sink: Waiting, use: () => void): void {
    if (this.#calls.delete(sink)) use()
  }

  #handOut(statement: Statement, rows: readonly Record<string, unknown>[], sink: Sink): void {
    try {
      for (const row of rows) this.#writeRow(statement, row, sink)
    } catch (error) {
      sink.failed(error as Error, true)
      this.destroy(error as Error)
      return
    }
    sink.done()
  }

  /** After a statement that failed while its rows came, the driver's next result can have holes (postgres.js #1181). */
  #writeRow({ columns }: Statement, row: Record<string, unknown> | undefined, sink: Sink): void {
    const values = Object.values(row ?? {}) as Parameter[]
    if (values.length !== columns.length) {
      throw new ConnectionError('STATEMENT_MISMATCH', 'A row has other columns than its statement')
    }
    const fields = new Int32Array(2 * columns.length)
    this.#row.length = 0
    for (const [index, type] of columns.entries()) {
      const start = this.#row.length + 4
      this.#writeValue(type, values[index] ?? null)
      fields[2 * index] = start
      fields[2 * index + 1] = values[index] === null ? -1 : this.#row.length - start
    }
    sink.row(this.#row.bytes, fields)
  }

  /** What is of another type than its column belongs to the answer of another call. */
  #writeValue(type: Statement['columns'][number], value: Parameter): void {
    try {
      writeParameter(this.#row, type, value)
    } catch (error) {
      throw new ConnectionError(
        'ANSWER_MISMATCH',
        'A value is not of the type of its column',
        error,
      )
    }
  }

  #check(): void {
    const limit = performance.now() - this.#options.answerTimeoutMs
    const [oldest = Number.POSITIVE_INFINITY] = this.#calls.values()
    if (oldest < limit) this.destroy(new ConnectionError('ETIMEDOUT', 'PostgreSQL does not answer'))
  }
}
