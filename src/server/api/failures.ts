// Runs in listeners. Turns failures into what clients receive: the only file that knows both sides.
import {
  CallExpiredError,
  classify,
  DatabaseOverloadedError,
  ViolationError,
} from '../../db/failures.ts'
import type { Violation } from '../../db/operation.ts'
import {
  CallOverError,
  PasswordPoolFullError,
  PasswordShareError,
} from '../../workers/passwords/pool.ts'
import { OVERLOADED, Problem, shed, TOO_MANY_REQUESTS, unauthorized } from '../http/problem.ts'

// Made once: under overload or without a database there are thousands a second.
const LATE = shed('deadline_exceeded', 'The request was not answered in time')
const UNREACHABLE = shed('unavailable', 'The database cannot be reached, try again later')
const BUSY = shed('unavailable', 'The database is busy, try again later')
const STALE = shed('unavailable', 'The database is being changed, try again later')
const CONFLICT = shed('unavailable', 'The change conflicted with another one, try again')

/** Turns whatever was thrown into a problem. A failure that is not known here stays opaque to the client. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof PasswordPoolFullError || error instanceof DatabaseOverloadedError) {
    return OVERLOADED
  }
  if (error instanceof PasswordShareError) return TOO_MANY_REQUESTS
  if (error instanceof CallExpiredError || error instanceof CallOverError) {
    return LATE
  }
  if (error instanceof ViolationError) return VIOLATIONS[error.violation]()
  switch (classify(error)) {
    case 'unreachable':
      return UNREACHABLE
    case 'busy':
      return BUSY
    case 'stale':
      return STALE
    case 'retryable':
      return CONFLICT
    case 'refused':
    case undefined:
      return new Problem('internal', 'Internal server error')
  }
}

const VIOLATIONS: Readonly<Record<Violation, () => Problem>> = {
  account_gone: () =>
    unauthorized('The account of this token no longer exists', 'Bearer error="invalid_token"'),
}
