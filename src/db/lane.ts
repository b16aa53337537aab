// Runs in listeners. The calls of one operation: which wait, how many statements are in flight, and whether it is late.

import { Histogram, SECONDS } from '../stats/histogram.ts'
import type { BatchedCall } from './batch.ts'
import { CallExpiredError } from './failures.ts'
import type { Input, Operation } from './operation.ts'
import type { CallRecord } from './recording.ts'
import { Turns, type Waiting } from './turns.ts'

/** A batch that takes longer, because of a lock perhaps, is not waited for. Most take 1 to 5 ms. */
const SLOW_MS = 25
/**
 * Batches of one operation in flight when some are slow. Two at all times were measured, too: 8 % more reads at a p99
 * 30 % higher, and fewer writes.
 */
const BATCHES_MAX = 4
/** A lane is late once calls have waited without a break for this many times the wait that counts, as in no burst. */
const STANDING_FACTOR = 2
/** Calls in a batch, up to the most that one takes. */
export const BATCH_CALLS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128]
/** What a call is worth while there is more work than can be done: reads are turned away last, heavy ones first. */
export type Priority = 'read' | 'write' | 'heavy'

/** What the queue needs to know of a request. */
interface Call {
  readonly deadlineMs: number
  readonly ended: boolean
  queuedMs: number
}

export interface LaneLimits {
  /** Calls in a batch at most; with 1 each call is a statement of its own, sent at once. */
  readonly batchCallsMax: number
  /**
   * Calls in flight of an operation that has no batches: their answers may arrive in one piece, and all be in memory at
   * once. With 4 or 8, each statement wakes PostgreSQL for itself, which took 40 % more CPU than with 64.
   */
  readonly singlesMax: number
}

export class Lane {
  readonly operation: Operation
  readonly priority: Priority
  readonly waiting = new Turns<WaitingCall>()
  /** Statements in flight. */
  inFlight = 0
  scheduled = false
  lastSize = 0
  /** When the last batch was sent. */
  sentAtMs = 0
  /** How many calls the batches had. */
  readonly batches = new Histogram(BATCH_CALLS)
  /** How long calls waited before they were sent, in seconds. */
  readonly waits = new Histogram(SECONDS)
  /** How long statements took, repetitions included, in seconds. */
  readonly durations = new Histogram(SECONDS)
  readonly #callsMax: number
  /** A queue of so many calls is no more than the next statements take. */
  readonly #shortMax: number
  readonly #inFlightMax: number
  /** Since when some call has been waiting without a break. */
  #standingSinceMs = 0

  constructor(operation: Operation, { batchCallsMax, singlesMax }: LaneLimits) {
    this.operation = operation
    this.priority = priorityOf(operation)
    this.#callsMax = operation.many ? batchCallsMax : 1
    // Without batching the queue's own limit is the only one.
    if (batchCallsMax === 1) this.#inFlightMax = Number.POSITIVE_INFINITY
    else this.#inFlightMax = operation.many ? BATCHES_MAX : singlesMax
    this.#shortMax = Math.max(this.#callsMax, singlesMax)
  }

  push(call: WaitingCall): void {
    if (this.waiting.size === 0) this.#standingSinceMs = call.arrivedAtMs
    this.waiting.push(call)
  }

  maySend(): boolean {
    if (this.#callsMax === 1) return this.inFlight < this.#inFlightMax
    if (this.inFlight === 0) return true
    return this.inFlight < this.#inFlightMax && performance.now() - this.sentAtMs > SLOW_MS
  }

  take(nowMs: number): WaitingCall[] {
    this.sentAtMs = nowMs
    return this.waiting.take(this.#callsMax)
  }

  /** Takes note of a batch that is being sent. */
  countSent(batch: readonly WaitingCall[]): void {
    this.batches.add(batch.length)
    for (const call of batch) {
      const waitMs = this.sentAtMs - call.arrivedAtMs
      this.waits.add(waitMs / 1000)
      call.countWait(waitMs)
    }
  }

  /** Takes note of a statement that has ended. */
  countDone(sentAtMs: number): void {
    this.durations.add((performance.now() - sentAtMs) / 1000)
  }

  /**
   * True while the call in front has waited longer than this, and more calls arrive than can be sent; false while the queue
   * drains, as it does after a burst, or holds no more than the next statements take. That is the idea of CoDel (RFC 8289):
   * what counts is the delay of a queue that does not drain, and not its length.
   */
  isLate(waitMs: number, nowMs: number): boolean {
    if (this.waiting.size < this.#shortMax) return false
    if (nowMs - this.#standingSinceMs < STANDING_FACTOR * waitMs) return false
    const front = this.waiting.front
    return front !== undefined && nowMs - front.arrivedAtMs > waitMs
  }
}

/** What the queue has made of a call. */
interface CallDetails {
  account: string
  row: string
  input: Input
  arrivedAtMs: number
  record: CallRecord | undefined
}

/** A call until it is settled. */
export class WaitingCall implements Waiting, BatchedCall {
  readonly account: string
  readonly row: string
  readonly input: Input
  readonly arrivedAtMs: number
  readonly record: CallRecord | undefined
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  readonly #call: Call

  constructor(
    call: Call,
    { account, row, input, arrivedAtMs, record }: CallDetails,
    resolve: (result: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#call = call
    this.account = account
    this.row = row
    this.input = input
    this.arrivedAtMs = arrivedAtMs
    this.record = record
    this.resolve = resolve
    this.reject = reject
  }

  get deadlineMs(): number {
    return this.#call.deadlineMs
  }

  isOver(nowMs: number): boolean {
    return this.#call.ended || this.#call.deadlineMs <= nowMs
  }

  /** It is sent, after this wait. */
  countWait(waitMs: number): void {
    this.#call.queuedMs += waitMs
  }

  expire(): void {
    this.reject(new CallExpiredError('Waited too long for PostgreSQL'))
  }
}

/** Lists, logins and registrations cost a multiple of the rest. */
function priorityOf({ many, purpose }: Operation): Priority {
  if (!many) return 'heavy'
  return purpose === 'read' ? 'read' : 'write'
}
