// Runs in listeners. Runs the calls of a batch as one statement, and gives each its own result.
import { toColumns } from './arrays.ts'
import { AnswerMismatchError, explainViolation, isRefusal } from './failures.ts'
import type { Input, Operation, Parameter, Statement } from './operation.ts'
import { readInt32 } from './wire/protocol.ts'

/** Takes the rows of an answer. */
export interface Answer {
  /** The rows so far are void: the statement is run once more. */
  restart(): void
  /** A row, valid during the call only. Throws `AnswerMismatchError` when it is no answer to these calls. */
  row(bytes: Buffer, fields: Int32Array): void
  /** After the last row. Throws `AnswerMismatchError` when a call has no answer. */
  end(): void
}

/** What carries statements to PostgreSQL. Which client does it, the calls cannot tell. */
export interface Carrier {
  /**
   * Runs a prepared statement and hands its rows to `answer`. Rejects with the error of PostgreSQL or of the connection.
   *
   * @param deadlineMs until then the statement may be run again where that is safe, by `performance.now()`
   */
  run(
    statement: Statement,
    parameters: readonly Parameter[],
    answer: Answer,
    deadlineMs: number,
  ): Promise<void>
}

/** A call that is part of a batch. */
export interface BatchedCall {
  readonly input: Input
  readonly deadlineMs: number
  /** True when nobody waits for the result any more. */
  isOver(nowMs: number): boolean
  resolve(result: unknown): void
  reject(error: unknown): void
  /** Rejects as a call that was not sent. */
  expire(): void
}

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
  const number = takeNumbers(batch.length)
  const answer = new BatchAnswer(operation, batch, number)
  const numbers = batch.map((_, position) => number + position)
  const columns = toColumns(batch.map(({ input }) => valuesOf(operation, input)))
  try {
    await carrier.run(many, [...columns, `{${numbers.join()}}`], answer, lastDeadline(batch))
    for (const [position, call] of batch.entries()) answer.settle(position, call)
  } catch (error) {
    // What PostgreSQL turned down has changed nothing: each call gets its own verdict. After a lost connection nobody
    // knows what was committed, so nothing is tried again.
    if (isRefusal(error)) {
      await Promise.all(batch.map((call) => runOne(carrier, operation, call)))
    } else {
      for (const call of batch) call.reject(error)
    }
  }
}

async function runOne(carrier: Carrier, operation: Operation, call: BatchedCall): Promise<void> {
  if (call.isOver(performance.now())) {
    call.expire()
    return
  }
  const number = takeNumbers(1)
  const answer = new BatchAnswer(operation, [call], number)
  const values = valuesOf(operation, call.input)
  values.push(number)
  try {
    await carrier.run(operation.one, values, answer, call.deadlineMs)
    answer.settle(0, call)
  } catch (error) {
    call.reject(explainViolation(error, operation.violations))
  }
}

/** The rows of a statement, by the numbers of its calls. */
class BatchAnswer implements Answer {
  readonly #operation: Operation
  readonly #calls: readonly BatchedCall[]
  readonly #number: number
  #states: unknown[]
  #answered: boolean[]

  constructor(operation: Operation, calls: readonly BatchedCall[], number: number) {
    this.#operation = operation
    this.#calls = calls
    this.#number = number
    this.#states = calls.map(() => operation.reading.start)
    this.#answered = calls.map(() => false)
  }

  restart(): void {
    this.#states = this.#calls.map(() => this.#operation.reading.start)
    this.#answered = this.#calls.map(() => false)
  }

  row(bytes: Buffer, fields: Int32Array): void {
    // Column 0: where it starts, and how long it is.
    const position = fields[1] === 4 ? readInt32(bytes, fields[0] as number) - this.#number : -1
    const call = this.#calls[position]
    if (!call) throw new AnswerMismatchError('A row answers a call that was not made')
    this.#answered[position] = true
    const { row } = this.#operation.reading
    this.#states[position] = row(this.#states[position], bytes, fields, call.input as never)
  }

  end(): void {
    if (this.#answered.includes(false)) throw new AnswerMismatchError('A call has no answer')
  }

  settle(position: number, call: BatchedCall): void {
    try {
      call.resolve(this.#operation.reading.end(this.#states[position], call.input))
    } catch (error) {
      call.reject(error)
    }
  }
}

function lastDeadline(batch: readonly BatchedCall[]): number {
  return batch.reduce((last, { deadlineMs }) => Math.max(last, deadlineMs), 0)
}

function valuesOf({ names }: Operation, input: Input): Parameter[] {
  return names.map((name) => input[name] ?? null)
}
