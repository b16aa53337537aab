// Runs in listeners. The one way of a listener's calls to PostgreSQL: what may wait, whose turn it is, what goes together.
//
// There is no timer: a call that finds nothing of its operation in flight goes out at once, alone, and while a batch is
// in flight the next one fills. An idle service adds no wait, a busy one pays PostgreSQL's price per statement and per
// commit once per batch. A write is acknowledged after the commit of its batch.
import { type Carrier, runBatch } from './batch.ts'
import { DatabaseOverloadedError } from './failures.ts'
import { Lane, type LaneLimits, type Priority, WaitingCall } from './lane.ts'
import type { Input, Operation } from './operation.ts'
import type { Recorder } from './recording.ts'

/** Of the calls that the queue may hold, the share of one account that may wait before it alone is turned away. */
const ACCOUNT_SHARE_MAX = 0.5
/**
 * Of a standing queue, the wait of the call in front from which further calls are turned away, in milliseconds. Measured
 * with 2000, 4000 and 10 000 connections that ask again at once: limits of 100, 75 and 50 ms gave as many good answers a
 * second (17 000 to 23 000) at a p99 of 215 to 315 ms, and these 67 to 110 ms. The price: with 512 connections, whose calls
 * are nearly all answered otherwise, 2 % are refused. The wait that a call would have, reckoned from the queue's length and
 * the pace of its batches, was no better as a measure.
 */
const LATE_MS: Readonly<Record<Priority, number>> = { read: 25, write: 20, heavy: 15 }
/** Made once: under overload there are thousands a second, and a stack would tell nothing. */
const TOO_MANY = new DatabaseOverloadedError('Too many calls wait')
const TOO_MANY_OF_ACCOUNT = new DatabaseOverloadedError('Too many calls of one account wait')
const TOO_LATE = new DatabaseOverloadedError('Calls arrive faster than PostgreSQL answers')

/** Who asks, and for how long: what the queue needs to know of a request. */
export interface Call {
  /** The account that asks; calls without one share the turns and the limit of one account. */
  readonly caller: string | undefined
  /** When the answer is no longer wanted, by `performance.now()`. */
  readonly deadlineMs: number
  /** True once nobody waits: the request was answered, or its client has gone. */
  readonly ended: boolean
  /** What its times are noted in, when the request is traced. */
  readonly recording?: Recorder | undefined
  /** How long its calls have waited here until they were sent, in milliseconds; the queue adds to it. */
  queuedMs: number
}

/** A call of an account. */
export interface AccountCall extends Call {
  readonly caller: string
}

export interface QueueLimits extends LaneLimits {
  /** Calls that may be unanswered, of all operations together, waiting or in flight. */
  readonly callsMax: number
}

/** Runs operations. Whether a call waits, is batched, or goes out alone, no caller can tell by its result. */
export class Queue {
  readonly #carrier: Carrier
  readonly #limits: QueueLimits
  readonly #lanes = new Map<unknown, Lane>()
  /** Calls that were turned away, by the reason. */
  readonly refused = { queue_full: 0, account_share: 0, too_late: 0 }
  /** Calls that are not settled. */
  #held = 0

  constructor(carrier: Carrier, limits: QueueLimits) {
    this.#carrier = carrier
    this.#limits = limits
  }

  /** What the operations that have been asked for have to do. */
  get lanes(): Iterable<Lane> {
    return this.#lanes.values()
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
      const lane = this.#lanes.get(operation) ?? this.#open(operation as unknown as Operation)
      const arrivedAtMs = performance.now()
      this.#admit(account, lane, arrivedAtMs)
      const row = operation.rowOf?.(input) ?? ''
      const record = call.recording?.addCall(operation.name, arrivedAtMs)
      const details = { account, row, input, arrivedAtMs, record }
      this.#held += 1
      lane.push(new WaitingCall(call, details, resolve as (result: unknown) => void, reject))
      this.#schedule(lane)
    })
  }

  /** Throws when the call would be one too many, one too many of its account, or one that comes too late. */
  #admit(account: string, lane: Lane, nowMs: number): void {
    const { callsMax } = this.#limits
    if (this.#held >= callsMax) {
      this.refused.queue_full += 1
      throw TOO_MANY
    }
    if (this.#isTooLate(account, lane, nowMs)) {
      this.refused.too_late += 1
      throw TOO_LATE
    }
    const accountMax = callsMax * ACCOUNT_SHARE_MAX
    if (this.#held < accountMax) return
    let own = 0
    for (const { waiting } of this.#lanes.values()) own += waiting.count(account)
    if (own < accountMax) return
    this.refused.account_share += 1
    throw TOO_MANY_OF_ACCOUNT
  }

  /** While a lane is late, accounts that have nothing waiting there still get in, as long as they are few. */
  #isTooLate(account: string, lane: Lane, nowMs: number): boolean {
    if (!lane.isLate(LATE_MS[lane.priority], nowMs)) return false
    return lane.waiting.size >= 2 * this.#limits.batchCallsMax || lane.waiting.count(account) > 0
  }

  /**
   * True while a call of this priority is to be turned away, whoever makes it. Late reads mean that the listener or
   * PostgreSQL is out of time, because reads wait for no lock; then what is worth less goes first. Writes that are late
   * by themselves may wait for a lock of one account, so they do not count here.
   */
  isOverloaded(priority: Priority): boolean {
    if (this.#held < this.#limits.batchCallsMax) return false
    const nowMs = performance.now()
    for (const lane of this.#lanes.values()) {
      const counts = lane.priority === 'read' || (lane.priority === 'heavy' && priority === 'heavy')
      if (counts && lane.isLate(LATE_MS[priority], nowMs)) return true
    }
    return false
  }

  #open(operation: Operation): Lane {
    const lane = new Lane(operation, this.#limits)
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
    lane.countSent(batch)
    const { sentAtMs } = lane
    void runBatch(this.#carrier, lane.operation, batch).then(() => {
      this.#held -= batch.length
      lane.inFlight -= 1
      lane.countDone(sentAtMs)
      if (lane.waiting.size > 0) this.#send(lane)
    })
  }

  /** The next batch, without the calls that nobody waits for any more. */
  #take(lane: Lane): WaitingCall[] {
    const nowMs = performance.now()
    for (;;) {
      const taken = lane.take(nowMs)
      if (!taken.some((call) => call.isOver(nowMs))) return taken
      const wanted = taken.filter((call) => !call.isOver(nowMs))
      for (const call of taken) if (call.isOver(nowMs)) call.expire()
      this.#held -= taken.length - wanted.length
      if (wanted.length > 0) return wanted
    }
  }
}
