// Runs in listeners. Turns failures into what clients receive: the only file that knows both sides.
import {
  CallExpiredError,
  classify,
  DatabaseOverloadedError,
  ViolationError,
} from '../../db/failures.ts'
import type { Violation } from '../../db/operation.ts'
import { CallOverError, PasswordPoolFullError } from '../../workers/passwords/pool.ts'
import { Problem, shed, unauthorized } from '../http/problem.ts'

/** Turns whatever was thrown into a problem. A failure that is not known here stays opaque to the client. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof PasswordPoolFullError || error instanceof DatabaseOverloadedError) {
    return shed('overloaded', 'Too many requests are waiting, try again later')
  }
  if (error instanceof CallExpiredError || error instanceof CallOverError) {
    return shed('deadline_exceeded', 'The request was not answered in time')
  }
  if (error instanceof ViolationError) return VIOLATIONS[error.violation]()
  switch (classify(error)) {
    case 'unreachable':
      return shed('unavailable', 'The database cannot be reached, try again later')
    case 'busy':
      return shed('unavailable', 'The database is busy, try again later')
    case 'stale':
      return shed('unavailable', 'The database is being changed, try again later')
    case 'retryable':
      return shed('unavailable', 'The change conflicted with another one, try again')
    case 'refused':
    case undefined:
      return new Problem('internal', 'Internal server error')
  }
}

const VIOLATIONS: Readonly<Record<Violation, () => Problem>> = {
  account_gone: () =>
    unauthorized('The account of this token no longer exists', 'Bearer error="invalid_token"'),
}
