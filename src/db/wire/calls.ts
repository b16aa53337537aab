// Runs in every process that talks to PostgreSQL. The calls of one connection that have no answer yet, oldest first.
import type { Statement } from './statement.ts'

/** Who gets the answer of a call. After any number of rows comes exactly one `done` or `failed`. */
export interface Sink {
  /**
   * The value of column `i` is in `bytes` from `fields[2 * i]` on, with `fields[2 * i + 1]` bytes; -1 of them for null.
   * Valid during the call only. Throwing ends the connection.
   */
  row(bytes: Buffer, fields: Int32Array, columns: number): void
  /** `count` is what PostgreSQL counted as returned or changed, 0 where it does not count. Must not throw. */
  done(count: number): void
  /** `sent` is false when PostgreSQL cannot have seen the statement. Must not throw. */
  failed(error: Error, sent: boolean): void
}

export type CallKind = 'execute' | 'prepare' | 'query'

export interface Call {
  kind: CallKind
  /** Absent for a query, which declares nothing. */
  statement: Statement | undefined
  sink: Sink
}

const CAPACITY_FIRST = 64

/** A ring that doubles when it is full; an array would be moved or made anew for each answer. */
export class CallQueue {
  count = 0
  #ring: (Call | undefined)[] = Array.from({ length: CAPACITY_FIRST }, () => undefined)
  #first = 0

  /** The oldest; only while there is one. */
  get oldest(): Call {
    return this.#ring[this.#first] as Call
  }

  add(call: Call): void {
    if (this.count === this.#ring.length) this.#grow()
    this.#ring[(this.#first + this.count) & (this.#ring.length - 1)] = call
    this.count += 1
  }

  removeOldest(): void {
    this.#ring[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#ring.length - 1)
    this.count -= 1
  }

  removeAll(): Call[] {
    const calls = this.#inOrder()
    this.#ring.fill(undefined)
    this.count = 0
    return calls
  }

  #grow(): void {
    const calls = this.#inOrder()
    this.#ring = [...calls, ...calls.map(() => undefined)]
    this.#first = 0
  }

  #inOrder(): Call[] {
    const mask = this.#ring.length - 1
    return Array.from(
      { length: this.count },
      (_, index) => this.#ring[(this.#first + index) & mask] as Call,
    )
  }
}
