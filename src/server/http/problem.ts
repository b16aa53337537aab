// Runs in listeners. The only place that maps a failure to HTTP.
import {
  CallExpiredError,
  DatabaseOverloadedError,
  isOutage,
  isSchemaViolation,
} from '../../db/failures.ts'
import { PasswordPoolFullError } from '../../workers/passwords/pool.ts'

/** Every code that an answer can carry, with its status. Codes are stable: clients may rely on them. */
export const STATUS_OF = {
  invalid_request: 400,
  unauthorized: 401,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  length_required: 411,
  payload_too_large: 413,
  unsupported_media_type: 415,
  headers_too_large: 431,
  internal: 500,
  overloaded: 503,
  unavailable: 503,
  deadline_exceeded: 503,
} as const

export type ErrorCode = keyof typeof STATUS_OF

/** One invalid field: `pointer` is a JSON pointer (RFC 6901) into the body, or `/name` of a parameter. */
export interface FieldError {
  pointer: string
  message: string
}

/** A failure that the client is told about in full. */
export class ApiError extends Error {
  readonly code: ErrorCode
  readonly errors: readonly FieldError[]
  /** Lower-case names; values must be free of CR and LF. */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ErrorCode,
    message: string,
    details: { errors?: readonly FieldError[]; headers?: Record<string, string> } = {},
  ) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.errors = details.errors ?? []
    this.headers = details.headers ?? {}
  }

  get status(): number {
    return STATUS_OF[this.code]
  }
}

export function invalidRequest(message: string, errors: readonly FieldError[] = []): ApiError {
  return new ApiError('invalid_request', message, { errors })
}

/** RFC 6750, section 3: a challenge names the error only when a token was presented. */
export function unauthorized(message: string, challenge = 'Bearer'): ApiError {
  return new ApiError('unauthorized', message, { headers: { 'www-authenticate': challenge } })
}

export function notFound(what: string): ApiError {
  return new ApiError('not_found', `Not found: ${what}`)
}

/** Turns whatever was thrown into an answer. What is not ours stays opaque to the client. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof PasswordPoolFullError || error instanceof DatabaseOverloadedError) {
    return shed('overloaded', 'Too many requests are waiting, try again later')
  }
  if (error instanceof CallExpiredError) return shed('deadline_exceeded', 'No answer in time')
  if (isOutage(error)) return shed('unavailable', 'The database cannot be reached, try again later')
  if (isSchemaViolation(error, 'tasks_user_id_fkey')) {
    return unauthorized(
      'The account of this token no longer exists',
      'Bearer error="invalid_token"',
    )
  }
  return new ApiError('internal', 'Internal server error')
}

/** A 503 that says when to come back. */
export function shed(
  code: 'overloaded' | 'unavailable' | 'deadline_exceeded',
  message: string,
): ApiError {
  return new ApiError(code, message, { headers: { 'retry-after': '1' } })
}
