// Runs in every process. What a failure of the database means. Knows the driver's errors by their names, so that this
// file does not load the driver.
import type { Violation } from './operation.ts'

/** The fields of postgres.js' `PostgresError` that are used. */
interface PostgresError extends Error {
  name: 'PostgresError'
  code: string
  severity: string
  constraint_name?: string
  table_name?: string
  column_name?: string
  routine?: string
}

/** Thrown when no more calls may wait. */
export class DatabaseOverloadedError extends Error {
  override readonly name = 'DatabaseOverloadedError'
}

/** Thrown for a call that nobody waits for any more; it has not reached PostgreSQL. */
export class CallExpiredError extends Error {
  override readonly name = 'CallExpiredError'
}

/** A connection gave an answer that does not belong to its call: nothing that it says can be trusted any more. */
export class AnswerMismatchError extends Error {
  override readonly name = 'AnswerMismatchError'
  readonly code = 'ANSWER_MISMATCH'
}

/** Thrown when a statement violates a constraint whose meaning its operation knows. */
export class ViolationError extends Error {
  override readonly name = 'ViolationError'
  readonly violation: Violation

  constructor(violation: Violation, constraint: string, cause: unknown) {
    super(`Violates ${constraint}`, { cause })
    this.violation = violation
  }
}

/**
 * What follows from a failure:
 * - `unreachable`: no PostgreSQL that takes writes can be reached; a write that was in flight may have happened.
 * - `busy`: PostgreSQL had no time, no room or no lock for the statement.
 * - `retryable`: PostgreSQL gave the statement up in favour of another; tried again at once, it can succeed.
 * - `refused`: the statement is wrong or violates a constraint; it will be refused again.
 */
export type Failure = 'unreachable' | 'busy' | 'retryable' | 'refused'

/** Somebody else holds the row. */
const LOCK_NOT_AVAILABLE = '55P03'

/** Codes of the driver and of Node, and SQLSTATEs (PostgreSQL, appendix A) that differ from their class. */
const FAILURE_OF_CODE: Readonly<Record<string, Failure>> = {
  CONNECTION_CLOSED: 'unreachable',
  CONNECTION_ENDED: 'unreachable',
  CONNECTION_DESTROYED: 'unreachable',
  CONNECT_TIMEOUT: 'unreachable',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOENT: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EPIPE: 'unreachable',
  ETIMEDOUT: 'unreachable',
  // The connection said something that nobody can rely on, and was destroyed.
  ANSWER_MISMATCH: 'unreachable',
  SETTING_CHANGED: 'unreachable',
  // The server is not one that may be used: another answers instead, or an administrator has to act.
  AUTHENTICATION_FAILED: 'unreachable',
  TLS_FILE: 'unreachable',
  TLS_REFUSED: 'unreachable',
  UNUSABLE_DATABASE: 'unreachable',
  PROTOCOL_VIOLATION: 'unreachable',
  REPLY_TOO_LARGE: 'unreachable',
  STATEMENT_MISMATCH: 'unreachable',
  SEND_QUEUE_FULL: 'busy',
  INVALID_PARAMETER: 'refused',
  // The server is a standby that only reads: the primary is elsewhere by now.
  '25006': 'unreachable',
  // Whether the statement was completed is unknown, so it must not be run again as others of its class are.
  '40003': 'unreachable',
  // Too many connections: PostgreSQL has none left for us.
  '53300': 'unreachable',
  // Named statements are gone, or somebody else's are there: this is no session of our own, as behind a transaction pooler.
  '26000': 'unreachable',
  '42P05': 'unreachable',
  [LOCK_NOT_AVAILABLE]: 'busy',
  // A statement that ran into its timeout, or was cancelled by an administrator.
  '57014': 'busy',
  '57P01': 'unreachable',
  '57P02': 'unreachable',
  '57P03': 'unreachable',
  '57P05': 'unreachable',
}

/** By the first two characters of an SQLSTATE; classes that are not here are `refused`. */
const FAILURE_OF_CLASS: Readonly<Record<string, Failure>> = {
  '08': 'unreachable',
  // A password that was changed, a role or a database that is gone.
  '28': 'unreachable',
  '3D': 'unreachable',
  '40': 'retryable',
  // Insufficient resources: memory, disk.
  '53': 'busy',
  // Errors outside PostgreSQL: a disk that fails.
  '58': 'busy',
}

/** What a failure means, or `undefined` when it does not come from the database. */
export function classify(error: unknown): Failure | undefined {
  const code = codeOf(error)
  const known = FAILURE_OF_CODE[code]
  if (known) return known
  return isPostgresError(error) ? (FAILURE_OF_CLASS[code.slice(0, 2)] ?? 'refused') : undefined
}

/**
 * True when PostgreSQL itself refused the statement: nothing was changed, and each call of a batch may fare differently
 * when it is run alone.
 */
export function isRefusal(error: unknown): boolean {
  if (!isPostgresError(error) || isStale(error)) return false
  const failure = classify(error)
  return failure === 'refused' || failure === 'retryable' || error.code === LOCK_NOT_AVAILABLE
}

/** The error to hand to a caller: the violation where `violations` knows the constraint, else the error itself. */
export function explainViolation(
  error: unknown,
  violations: Readonly<Record<string, Violation>>,
): unknown {
  const constraint = isPostgresError(error) ? error.constraint_name : undefined
  const violation = constraint === undefined ? undefined : violations[constraint]
  return violation && constraint ? new ViolationError(violation, constraint, error) : error
}

/**
 * What PostgreSQL said about this connection and not about the statement: a plan that a change of the schema made stale, a
 * prepared statement that somebody has thrown away.
 */
const STALE_CODES = new Set(['0A000', '26000', '42704'])
/** A type or a table that a plan refers to has been made anew: PostgreSQL has no code of its own for it. */
const INTERNAL_ERROR = 'XX000'
const GONE = /^cache lookup failed|^could not open relation/

/** True when the statement changed nothing, and can succeed on another connection. */
export function isStale(error: unknown): boolean {
  if (!isPostgresError(error)) return false
  return STALE_CODES.has(error.code) || (error.code === INTERNAL_ERROR && GONE.test(error.message))
}

/**
 * What a log line may say about a driver error. `detail`, `where`, parameters and the text of data exceptions
 * (SQLSTATE class 22) can quote what a user sent, so they stay out.
 */
export function describeError(error: unknown): Record<string, unknown> | undefined {
  if (!isPostgresError(error)) return undefined
  const { code, severity, constraint_name, table_name, column_name, routine, message } = error
  const text = code.startsWith('22') ? 'Data exception' : message
  return { message: text, code, severity, constraint_name, table_name, column_name, routine }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

function isPostgresError(error: unknown): error is PostgresError {
  return error instanceof Error && error.name === 'PostgresError'
}
