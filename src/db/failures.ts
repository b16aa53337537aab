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
  /** Where inside functions it arose. */
  where?: string
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
 * What follows from a failure; `docs/database.md` says it in one table, and a test compares the two.
 * - `unreachable`: no PostgreSQL that takes writes can be reached; a write that was in flight may have happened. Reads
 *   are run again, writes only if they were not sent.
 * - `busy`: PostgreSQL had no time, no room or no lock for the statement. Not run again.
 * - `retryable`: PostgreSQL gave the statement up in favour of another; run again at once, it can succeed.
 * - `stale`: what this connection has prepared no longer fits the schema. Run again on another connection.
 * - `refused`: the statement violates a constraint or is wrong; it will be refused again.
 */
export type Failure = 'unreachable' | 'busy' | 'retryable' | 'stale' | 'refused'

interface Meaning {
  failure: Failure
  /** For the log. */
  words: string
}

function means(failure: Failure, words: string): Meaning {
  return { failure, words }
}

const LOST = means('unreachable', 'The connection to PostgreSQL was lost, or there is none')
const UNTRUSTED = means('unreachable', 'The connection gave an answer that cannot be trusted')
const UNUSABLE = means('unreachable', 'The server or the database cannot be used as it is set up')
const SCHEMA = means('stale', 'The schema was changed while the statement was prepared')
/** Somebody else holds the row. */
const LOCK_NOT_AVAILABLE = '55P03'

/** Codes of the clients and of Node, and SQLSTATEs (PostgreSQL, appendix A) that differ from their class. */
export const MEANING_OF_CODE: Readonly<Record<string, Meaning>> = {
  CONNECTION_CLOSED: LOST,
  CONNECTION_ENDED: LOST,
  CONNECTION_DESTROYED: LOST,
  CONNECT_TIMEOUT: LOST,
  ECONNREFUSED: LOST,
  ECONNRESET: LOST,
  EHOSTUNREACH: LOST,
  ENETUNREACH: LOST,
  ENOENT: LOST,
  ENOTFOUND: LOST,
  EAI_AGAIN: LOST,
  EPIPE: LOST,
  ETIMEDOUT: LOST,
  ANSWER_MISMATCH: UNTRUSTED,
  PROTOCOL_VIOLATION: UNTRUSTED,
  REPLY_TOO_LARGE: UNTRUSTED,
  SETTING_CHANGED: UNTRUSTED,
  // Another server answers instead, or an administrator has to act.
  AUTHENTICATION_FAILED: UNUSABLE,
  SESSIONS_SHARED: UNUSABLE,
  STATEMENT_MISMATCH: UNUSABLE,
  TLS_FILE: UNUSABLE,
  TLS_REFUSED: UNUSABLE,
  UNUSABLE_DATABASE: UNUSABLE,
  NOT_CONNECTED: means('unreachable', 'No connection to PostgreSQL can be opened'),
  SEND_QUEUE_FULL: means('busy', 'PostgreSQL does not read what it is sent'),
  INVALID_PARAMETER: means('refused', 'A parameter is not what its statement declares'),
  '25006': means('unreachable', 'The server is a standby that only reads'),
  '26000': means('stale', 'A prepared statement was thrown away'),
  // It must not be run again as others of its class are.
  '40003': means('unreachable', 'Whether the statement was completed is unknown'),
  // No schema change ends it: an administrator has to act.
  '42501': means('refused', 'The role lacks a privilege'),
  '53300': means('unreachable', 'PostgreSQL has no connections left'),
  [LOCK_NOT_AVAILABLE]: means('busy', 'Another session holds a lock'),
  '57014': means('busy', 'The statement timed out, or was cancelled by an administrator'),
}

/** By the first two characters of an SQLSTATE; classes that are not here are `refused`. */
export const MEANING_OF_CLASS: Readonly<Record<string, Meaning>> = {
  '08': means('unreachable', 'PostgreSQL or a pooler reports a broken connection'),
  '0A': means('stale', 'A plan no longer fits the schema'),
  // A password that was changed, a role that is gone.
  '28': means('unreachable', 'PostgreSQL does not accept the role or its password'),
  '3D': means('unreachable', 'The database does not exist'),
  '3F': SCHEMA,
  '40': means('retryable', 'The statement conflicted with another one'),
  // Every text was parsed when its connection was opened, so it is the schema that is another by now.
  '42': SCHEMA,
  '53': means('busy', 'PostgreSQL lacks memory, disk or another resource'),
  '55': means('busy', 'An object is in use or not in the state that is needed'),
  '57': means('unreachable', 'PostgreSQL shuts down, starts up or was told to end the session'),
  '58': means('busy', 'The operating system failed PostgreSQL'),
}

const REFUSED = means('refused', 'PostgreSQL refused the statement')
/** A type or a table that a plan refers to has been made anew: PostgreSQL has no code of its own for it. */
const INTERNAL_ERROR = 'XX000'
const GONE = /^cache lookup failed|^could not open relation/

/** What a failure means, or `undefined` when it does not come from the database. */
export function classify(error: unknown): Failure | undefined {
  return meaningOf(error)?.failure
}

/** The same, with words. */
export function meaningOf(error: unknown): Meaning | undefined {
  const code = codeOf(error)
  const known = MEANING_OF_CODE[code]
  if (known || !isPostgresError(error)) return known
  if (code === INTERNAL_ERROR && GONE.test(error.message)) return SCHEMA
  const meaning = MEANING_OF_CLASS[code.slice(0, 2)] ?? REFUSED
  // What a function does wrong, of a trigger perhaps, was not parsed before, and no other connection does it better.
  return meaning === SCHEMA && error.where ? REFUSED : meaning
}

/** True when a transaction pooler is in the way that no setting names. */
export function isUnannounced(error: unknown): boolean {
  return codeOf(error) === 'SESSIONS_SHARED'
}

/** True when a server answers, and somebody has to change a setting, here or there, before it can be used. */
export function isUnusable(error: unknown): boolean {
  return meaningOf(error) === UNUSABLE
}

/**
 * True when the statement itself was refused, by PostgreSQL or by the client before it was sent: nothing was changed, and each call of a batch may fare differently
 * when it is run alone.
 */
export function isRefusal(error: unknown): boolean {
  // A value that the client cannot send, such as a text with a NUL.
  if (codeOf(error) === 'INVALID_PARAMETER') return true
  if (!isPostgresError(error)) return false
  const failure = classify(error)
  if (failure === 'refused' || failure === 'retryable' || failure === 'stale') return true
  return error.code === LOCK_NOT_AVAILABLE
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

/** True when PostgreSQL has said it of the connection: another one may do better, and this one must not go on. */
export function isOfConnection(error: unknown): boolean {
  if (!isPostgresError(error)) return false
  const failure = classify(error)
  return failure === 'stale' || failure === 'unreachable'
}

/**
 * What a log line may say about a failure that is expected to happen. `detail`, `where`, parameters and the text of data
 * exceptions (SQLSTATE class 22) can quote what a user sent, so they stay out; stacks would only say where we wait.
 */
export function describeError(error: unknown): Record<string, unknown> | undefined {
  const { failure, words: meaning } = meaningOf(error) ?? {}
  if (isPostgresError(error)) {
    const { code, severity, constraint_name, table_name, column_name, routine, message } = error
    const text = code.startsWith('22') ? 'Data exception' : message
    const names = { constraint_name, table_name, column_name, routine }
    return { message: text, meaning, code, severity, ...names }
  }
  if (!(error instanceof Error) || failure !== 'unreachable') return undefined
  const { message, cause } = error
  return { message, meaning, code: codeOf(error), cause: describeError(cause) }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

function isPostgresError(error: unknown): error is PostgresError {
  return error instanceof Error && error.name === 'PostgresError'
}
