// Runs in listeners. What is noted about the calls of requests that are traced. Nothing of it is made for other requests.
import type { Statement } from './operation.ts'

/** A request that is traced. */
export interface Recorder {
  /** Notes that a call has come. */
  addCall(operation: string, arrivedAtMs: number): CallRecord
}

/** A call of a request that is traced. */
export interface CallRecord {
  /** Notes that a statement is sent for this and others of `records`, once for all of them. */
  send(sending: Sending): StatementRecord
}

export interface Sending {
  readonly statement: Pick<Statement, 'name' | 'text'>
  /** Its calls, of traced requests or not. */
  readonly calls: number
  /** Those of traced requests. */
  readonly records: readonly CallRecord[]
  readonly sentAtMs: number
}

/** A statement that was sent for a call of a traced request. */
export interface StatementRecord {
  /** Notes the answer, before any call has its result; `failure` is a code without user data. */
  end(answeredAtMs: number, failure: string | undefined): void
}

/** Notes that `statement` is sent for these calls, or nothing when no request of theirs is traced. */
export function recordSending(
  statement: Statement,
  calls: readonly { readonly record?: CallRecord | undefined }[],
  sentAtMs: number,
): StatementRecord | undefined {
  if (!calls.some(({ record }) => record)) return undefined
  const records = calls.flatMap(({ record }) => record ?? [])
  return records[0]?.send({ statement, calls: calls.length, records, sentAtMs })
}

/** The code of an error, or its class: what it says besides may quote user data. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error ? String(error.code) : error.name
}
