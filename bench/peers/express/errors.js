// Maps what was thrown to an answer.
import pg from 'pg'
import { prettifyError, ZodError } from 'zod'

/** A failure that the client is told about; `status` and `expose` as Express' own errors have them. */
export class HttpError extends Error {
  expose = true

  constructor(status, message) {
    super(message)
    this.status = status
  }
}

// Express knows an error handler by its four parameters.
export function answerError(error, _req, res, _next) {
  const { status, message } = describe(error)
  if (status >= 500) console.error(error)
  res.status(status).json({ error: message })
}

function describe(error) {
  if (error instanceof ZodError) return { status: 400, message: prettifyError(error) }
  if (error.expose) return error
  if (error instanceof pg.DatabaseError) {
    if (error.code.startsWith('22')) return { status: 400, message: 'A value cannot be stored' }
    if (error.constraint === 'tasks_user_id_fkey') {
      return { status: 401, message: 'The account of this token no longer exists' }
    }
  }
  return { status: 500, message: 'Internal server error' }
}
