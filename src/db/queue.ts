// Runs in listeners. The one way of a listener's calls to PostgreSQL: what may wait, whose turn it is, what goes together.
//
// There is no timer: a call that finds nothing of its operation in flight goes out at once, alone, and while a batch is
// in flight the next one fills. An idle service adds no wait, a busy one pays PostgreSQL's price per statement and per
// commit once per batch. A write is acknowledged after the commit of its batch.
import { type BatchedCall, type Carrier, runBatch } from './batch.ts'
import { CallExpiredError, DatabaseOverloadedError } from './failures.ts'
import type { Input, Operation } from './operation.ts'
import { Turns, type Waiting } from './turns.ts'

/** A batch that takes longer, because of a lock perhaps, is not waited for. Most take 1 to 5 ms. */
const SLOW_MS = 25
/**
 * Batches of one operation in flight when some are slow. Two at all times were measured, too: 8 % more reads at a p99
 * 30 % higher, and fewer writes.
 */
const BATCHES_MAX = 4
/**
 * Calls in flight of an operation that has no batches: their answers may arrive in one piece, and all be in memory at
 * once. Fewer were measured, too: each statement then wakes PostgreSQL for itself, which took 40 % more CPU with 4 or 8.
 */
const SINGLES_MAX = 64
/** Of the calls that the queue may hold, the share of one account that may wait before it alone is turned away. */
const ACCOUNT_SHARE_MAX = 0.5

/** Who asks, and for how long: what the queue needs to know of a request. */
export interface Call {
  /** The account that asks; calls without one share the turns and the limit of one account. */
  readonly caller: string | undefined
  /** When the answer is no longer wanted, by `performance.now()`. */
  readonly deadlineMs: number
  /** True once nobody waits: the request was answered, or its client has gone. */
  readonly ended: boolean
}

/** A call of an account. */
export interface AccountCall extends Call {
  readonly caller: string
}

export interface QueueLimits {
  /** Calls in a batch at most; with 1 each call is a statement of its own, sent at once. */
  batchCallsMax: number
  /** Calls that may be unanswered, of all operations together, waiting or in flight. */
  callsMax: number
}

/** Runs operations. Whether a call waits, is batched, or goes out alone, no caller can tell by its result. */
export class Queue {
  readonly #carrier: Carrier
  readonly #limits: QueueLimits
  readonly #lanes = new Map<unknown, Lane>()
  /** Calls that are not settled. */
  #held = 0

  constructor(carrier: Carrier, limits: QueueLimits) {
    this.#carrier = carrier
    this.#limits = limits
  }

  /**
   * Resolves with the operation's result. Rejects with `DatabaseOverloadedError` when the call is one too many, with
   * `CallExpiredError` when it was not sent before its deadline or its end, with a `ViolationError`, or with the
   * driver's error. Of the last, `classify` says what it means.
   */
  run<In extends Input, Result>(
    call: Call,
    operation: Operation<In, Result>,
    input: In,
  ): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const account = call.caller ?? ''
      this.#admit(account)
      const row = operation.rowOf?.(input) ?? ''
      const lane = this.#lanes.get(operation) ?? this.#open(operation as unknown as Operation)
      this.#held += 1
      lane.waiting.push(
        new WaitingCall(call, account, row, input, resolve as (result: unknown) => void, reject),
      )
      this.#schedule(lane)
    })
  }

  /** Throws when the call would be one too many, or one too many of its account. */
  #admit(account: string): void {
    const { callsMax } = this.#limits
    if (this.#held >= callsMax) throw new DatabaseOverloadedError('Too many calls wait')
    const accountMax = callsMax * ACCOUNT_SHARE_MAX
    if (this.#held < accountMax) return
    let own = 0
    for (const { waiting } of this.#lanes.values()) own += waiting.count(account)
    if (own >= accountMax) throw new DatabaseOverloadedError('Too many calls of one account wait')
  }

  #open(operation: Operation): Lane {
    const lane = new Lane(operation, this.#limits.batchCallsMax)
    this.#lanes.set(operation, lane)
    return lane
  }

  /**
   * Sends now if the last batch was a single call; else at the end of the turn, so that all calls that one poll of the
   * sockets brings go together.
   */
  #schedule(lane: Lane): void {
    if (lane.scheduled || !lane.maySend()) return
    if (lane.lastSize <= 1) {
      this.#send(lane)
      return
    }
    lane.scheduled = true
    setImmediate(() => {
      lane.scheduled = false
      this.#send(lane)
    })
  }

  #send(lane: Lane): void {
    const batch = this.#take(lane)
    if (batch.length === 0) return
    lane.inFlight += 1
    lane.lastSize = batch.length
    lane.lastSentAtMs = performance.now()
    void runBatch(this.#carrier, lane.operation, batch).then(() => {
      this.#held -= batch.length
      lane.inFlight -= 1
      if (lane.waiting.size > 0) this.#send(lane)
    })
  }

  /** The next batch, without the calls that nobody waits for any more. */
  #take(lane: Lane): WaitingCall[] {
    const nowMs = performance.now()
    for (;;) {
      const taken = lane.take()
      if (!taken.some((call) => call.isOver(nowMs))) return taken
      const wanted = taken.filter((call) => !call.isOver(nowMs))
      for (const call of taken) if (call.isOver(nowMs)) call.expire()
      this.#held -= taken.length - wanted.length
      if (wanted.length > 0) return wanted
    }
  }
}

/** The calls of one operation. */
class Lane {
  readonly operation: Operation
  readonly waiting = new Turns<WaitingCall>()
  /** Statements in flight. */
  inFlight = 0
  scheduled = false
  lastSize = 0
  lastSentAtMs = 0
  readonly #callsMax: number
  readonly #inFlightMax: number

  constructor(operation: Operation, batchCallsMax: number) {
    this.operation = operation
    this.#callsMax = operation.many ? batchCallsMax : 1
    // Without batching the queue's own limit is the only one.
    if (batchCallsMax === 1) this.#inFlightMax = Number.POSITIVE_INFINITY
    else this.#inFlightMax = operation.many ? BATCHES_MAX : SINGLES_MAX
  }

  maySend(): boolean {
    if (this.#callsMax === 1) return this.inFlight < this.#inFlightMax
    if (this.inFlight === 0) return true
    return this.inFlight < this.#inFlightMax && performance.now() - this.lastSentAtMs > SLOW_MS
  }

  take(): WaitingCall[] {
    return this.waiting.take(this.#callsMax)
  }
}

class WaitingCall implements Waiting, BatchedCall {
  readonly account: string
  readonly row: string
  readonly input: Input
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  readonly #call: Call

  constructor(
    call: Call,
    account: string,
    row: string,
    input: Input,
    resolve: (result: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#call = call
    this.account = account
    this.row = row
    this.input = input
    this.resolve = resolve
    this.reject = reject
  }

  get deadlineMs(): number {
    return this.#call.deadlineMs
  }

  isOver(nowMs: number): boolean {
    return this.#call.ended || this.#call.deadlineMs <= nowMs
  }

  expire(): void {
    this.reject(new CallExpiredError('Waited too long for PostgreSQL'))
  }
}
