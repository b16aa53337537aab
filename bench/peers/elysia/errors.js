// Maps what was thrown to an answer.
import { SQL } from 'bun'

/** A failure that the client may know of. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

export function answerError({ code, error, set }) {
  const [status, message] = describe(code, error)
  // What PostgreSQL says beside its code can hold what a client sent.
  if (status >= 500) console.error(set.headers['x-request-id'], error?.errno ?? error)
  set.status = status
  return { error: message }
}

function describe(code, error) {
  if (error instanceof Refusal) return [error.status, error.message]
  if (error instanceof SQL.PostgresError) return describeDatabase(error)
  if (code === 'VALIDATION') return [400, `Invalid: ${error.type}`]
  if (code === 'PARSE') return [400, 'The body is not valid JSON']
  return [500, 'Internal server error']
}

function describeDatabase({ errno, constraint }) {
  if (constraint === 'tasks_user_id_fkey') return [401, 'The account of this token no longer exists']
  if (errno?.startsWith('22')) return [400, 'A value cannot be stored']
  if (errno === '57014') return [503, 'The database took too long']
  return [500, 'Internal server error']
}
