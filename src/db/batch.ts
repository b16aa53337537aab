// Runs in listeners. Runs the calls of a batch as one statement, and gives each its own result.
import { toColumns } from './arrays.ts'
import { explainViolation, isRefusal } from './failures.ts'
import type { Input, Operation, Parameter, PositionedRow, Statement } from './operation.ts'

/** What carries statements to PostgreSQL. Which driver does it is known in its own folder. */
export interface Carrier {
  /**
   * Runs a prepared statement and hands its rows to `take`, which must be done with them when it returns. Rejects with
   * the driver's error, untouched, or with what `take` throws.
   */
  run(
    statement: Statement,
    parameters: Parameter[],
    take: (rows: readonly object[]) => void,
  ): Promise<void>
}

/** A call that is part of a batch. */
export interface BatchedCall {
  readonly input: Input
  /** True when nobody waits for the result any more. */
  isOver(nowMs: number): boolean
  resolve(result: unknown): void
  reject(error: unknown): void
  /** Rejects as a call that was not sent. */
  expire(): void
}

/** Settles every call of `batch`. Never rejects. */
export async function runBatch(
  carrier: Carrier,
  operation: Operation,
  batch: readonly BatchedCall[],
): Promise<void> {
  const { many } = operation
  const [first] = batch
  if (!many || batch.length === 1) return first && runOne(carrier, operation, first)
  try {
    const columns = toColumns(batch.map(({ input }) => valuesOf(operation, input)))
    await carrier.run(many, columns, (rows) =>
      distribute(operation, batch, rows as readonly PositionedRow[]),
    )
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
  try {
    await carrier.run(operation.one, valuesOf(operation, call.input), (rows) =>
      call.resolve(operation.read(rows, call.input)),
    )
  } catch (error) {
    call.reject(explainViolation(error, operation.violations))
  }
}

/** Resolves each call with its rows; a call that no row names has none. */
function distribute(
  operation: Operation,
  batch: readonly BatchedCall[],
  rows: readonly PositionedRow[],
): void {
  const found = batch.map((): PositionedRow[] => [])
  for (const row of rows) {
    const own = found[Number(row.n) - 1]
    if (!own) throw new Error(`PostgreSQL answered call ${row.n} of ${batch.length}`)
    own.push(row)
  }
  for (const [position, call] of batch.entries()) {
    call.resolve(operation.read(found[position] ?? [], call.input))
  }
}

function valuesOf({ names }: Operation, input: Input): Parameter[] {
  return names.map((name) => input[name] ?? null)
}
