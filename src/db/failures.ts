// Runs in every process. What a failure of the database means; knows the driver's errors by name, so that reading one
// does not load the driver.

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

/** Thrown instead of letting one more statement wait. */
export class DatabaseOverloadedError extends Error {
  override readonly name = 'DatabaseOverloadedError'
}

/** Thrown to calls that waited until nobody wanted their answer any more. */
export class CallExpiredError extends Error {
  override readonly name = 'CallExpiredError'
}

/** True when the failure says that PostgreSQL is away, not that the statement was wrong. */
export function isOutage(error: unknown): boolean {
  return OUTAGE_CODES.has(codeOf(error))
}

/** True when PostgreSQL itself refused the statement, which therefore changed nothing and may be tried in parts. */
export function isRefusal(error: unknown): boolean {
  if (!isPostgresError(error)) return false
  return error.code === LOCK_NOT_AVAILABLE || !isOutage(error)
}

/** True when PostgreSQL refused a row because of the constraint of this name. */
export function isSchemaViolation(error: unknown, constraint: string): boolean {
  return isPostgresError(error) && error.constraint_name === constraint
}

/**
 * What a log line may hold of a driver error. `detail`, `where`, parameters and the text of data exceptions
 * (SQLSTATE class 22) can quote what a user sent, so they stay out.
 */
export function describeError(error: unknown): Record<string, unknown> | undefined {
  if (!isPostgresError(error)) return undefined
  const { code, severity, constraint_name, table_name, column_name, routine, message } = error
  const text = code.startsWith('22') ? 'Data exception' : message
  return { message: text, code, severity, constraint_name, table_name, column_name, routine }
}

/** Somebody else holds the row; a batch is split over it, a single call is told to come back. */
const LOCK_NOT_AVAILABLE = '55P03'

/** Driver codes of a lost or refused connection, and SQLSTATEs of a server that is away or going away. */
const OUTAGE_CODES = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
  '25006',
  '53300',
  LOCK_NOT_AVAILABLE,
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
])

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

function isPostgresError(error: unknown): error is PostgresError {
  return error instanceof Error && error.name === 'PostgresError'
}
