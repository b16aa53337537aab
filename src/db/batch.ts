// Runs in listeners. Runs the calls of a batch as one statement, and gives each its own result.
import { toColumns } from './arrays.ts'
import { AnswerMismatchError, classify, explainViolation, isRefusal } from './failures.ts'
import type { Input, Operation, Parameter, Statement } from './operation.ts'
import { type CallRecord, failureOf, recordSending, type StatementRecord } from './recording.ts'
import { readInt32 } from './wire/protocol.ts'

/** A statement that is to be run for its calls, and what becomes of its answer. */
export interface Work {
  /** When the last of its calls is past its deadline, by `performance.now()`. */
  readonly deadlineMs: number
  /**
   * What to send, for the calls that somebody still waits for: asked for right before each time that the statement is
   * sent. What earlier times have answered is void. Undefined when nobody waits, and then nothing may be sent.
   */
  begin(): readonly Parameter[] | undefined
  /** A row, valid during the call only. Throws `AnswerMismatchError` when it is no answer to these calls. */
  row(bytes: Buffer, fields: Int32Array): void
  /** After the last row. Throws `AnswerMismatchError` when a call has no answer. */
  end(): void
}

/** What carries statements to PostgreSQL. Which client does it, the calls cannot tell. */
export interface Carrier {
  /**
   * Runs a prepared statement and hands its rows to `work`; until its deadline the statement may be run again where that
   * is safe. Rejects with the error of PostgreSQL or of the connection.
   */
  run(statement: Statement, work: Work): Promise<void>
}

/** A call that is part of a batch. */
export interface BatchedCall {
  readonly input: Input
  readonly deadlineMs: number
  /** What its times are noted in, when its request is traced. */
  readonly record?: CallRecord | undefined
  /** True when nobody waits for the result any more. */
  isOver(nowMs: number): boolean
  resolve(result: unknown): void
  reject(error: unknown): void
  /** Rejects as a call that changed nothing: it was not sent, or PostgreSQL gave it up. */
  expire(): void
}

/** What is noted of a statement that the pool sends once more. */
const SENT_AGAIN = 'sent_again'
/** Numbers go up to what an int4 holds, and start anywhere, so that those of two processes differ. */
const NUMBER_MAX = 2 ** 31 - 1
let nextNumber = 1 + Math.floor(Math.random() * (NUMBER_MAX / 2))

/** The first of `count` numbers that no other call has. */
function takeNumbers(count: number): number {
  if (nextNumber + count > NUMBER_MAX) nextNumber = 1
  nextNumber += count
  return nextNumber - count
}

/** Settles every call of `batch`. Never rejects. */
export async function runBatch(
  carrier: Carrier,
  operation: Operation,
  batch: readonly BatchedCall[],
): Promise<void> {
  const { many } = operation
  const [first] = batch
  if (!first) return
  if (!many || batch.length === 1) return runOne(carrier, operation, first)
  const work = new BatchWork(operation, many, batch, columnsOf)
  try {
    await carrier.run(many, work)
    work.settle()
  } catch (error) {
    work.noteFailure(error)
    // What PostgreSQL turned down has changed nothing: each call gets its own verdict. After a lost connection nobody
    // knows what was committed, so nothing is tried again; and a schema that does not fit, fits no call.
    if (isRefusal(error) && classify(error) !== 'stale') {
      await Promise.all(work.calls.map((call) => runOne(carrier, operation, call)))
    } else {
      for (const call of work.calls) call.reject(error)
    }
  }
}

async function runOne(carrier: Carrier, operation: Operation, call: BatchedCall): Promise<void> {
  const work = new BatchWork(operation, operation.one, [call], valuesOfFirst)
  try {
    await carrier.run(operation.one, work)
    work.settle()
  } catch (error) {
    work.noteFailure(error)
    for (const waiting of work.calls) waiting.reject(explainViolation(error, operation.violations))
  }
}

/** Writes the parameters of a statement for `calls`, the first of which has `number`. */
type Parameters = (
  operation: Operation,
  calls: readonly BatchedCall[],
  number: number,
) => Parameter[]

/** The calls of a statement and its rows, by the numbers of the calls. */
class BatchWork implements Work {
  /** Those that have not expired. */
  calls: readonly BatchedCall[]
  readonly deadlineMs: number
  readonly #operation: Operation
  readonly #statement: Statement
  readonly #parameters: Parameters
  #record: StatementRecord | undefined
  #number = 0
  #states: unknown[] = []
  #answered: boolean[] = []

  constructor(
    operation: Operation,
    statement: Statement,
    calls: readonly BatchedCall[],
    parameters: Parameters,
  ) {
    this.#operation = operation
    this.#statement = statement
    this.calls = calls
    this.deadlineMs = lastDeadline(calls)
    this.#parameters = parameters
  }

  begin(): readonly Parameter[] | undefined {
    const nowMs = performance.now()
    this.#expire(nowMs)
    const { calls } = this
    if (calls.length === 0) return undefined
    // Sent again, what was sent before is over.
    this.#record?.end(nowMs, SENT_AGAIN)
    this.#record = recordSending(this.#statement, calls, nowMs)
    // New ones each time: a row that answers an earlier time is not taken for one of this.
    this.#number = takeNumbers(calls.length)
    this.#states = calls.map(() => this.#operation.reading.start)
    this.#answered = calls.map(() => false)
    return this.#parameters(this.#operation, calls, this.#number)
  }

  row(bytes: Buffer, fields: Int32Array): void {
    // Column 0: where it starts, and how long it is.
    const position = fields[1] === 4 ? readInt32(bytes, fields[0] as number) - this.#number : -1
    const call = this.calls[position]
    if (!call) throw new AnswerMismatchError('A row answers a call that was not made')
    this.#answered[position] = true
    const { row } = this.#operation.reading
    this.#states[position] = row(this.#states[position], bytes, fields, call.input as never)
  }

  end(): void {
    if (this.#answered.includes(false)) throw new AnswerMismatchError('A call has no answer')
  }

  /** Gives each call its result. */
  settle(): void {
    this.#record?.end(performance.now(), undefined)
    const { reading } = this.#operation
    for (const [position, call] of this.calls.entries()) {
      try {
        call.resolve(reading.end(this.#states[position], call.input))
      } catch (error) {
        call.reject(error)
      }
    }
  }

  /** Before the calls learn of it, so that what they note is whole. */
  noteFailure(error: unknown): void {
    this.#record?.end(performance.now(), failureOf(error))
  }

  /** A call that was answered meanwhile, or whose client has gone, must not be sent any more. */
  #expire(nowMs: number): void {
    if (!this.calls.some((call) => call.isOver(nowMs))) return
    for (const call of this.calls) if (call.isOver(nowMs)) call.expire()
    this.calls = this.calls.filter((call) => !call.isOver(nowMs))
  }
}

function columnsOf(
  operation: Operation,
  calls: readonly BatchedCall[],
  number: number,
): Parameter[] {
  const numbers = calls.map((_, position) => number + position)
  return [...toColumns(calls.map(({ input }) => valuesOf(operation, input))), `{${numbers.join()}}`]
}

function valuesOfFirst(
  operation: Operation,
  [call]: readonly BatchedCall[],
  number: number,
): Parameter[] {
  return [...valuesOf(operation, call?.input ?? {}), number]
}

function lastDeadline(batch: readonly BatchedCall[]): number {
  return batch.reduce((last, { deadlineMs }) => Math.max(last, deadlineMs), 0)
}

function valuesOf({ names }: Operation, input: Input): Parameter[] {
  return names.map((name) => input[name] ?? null)
}
