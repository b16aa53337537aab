// Maps what was thrown to an answer.
import postgres from 'postgres'

export function answerError(error, _request, reply) {
  const [status, message] = describe(error)
  if (status >= 500) console.error(error)
  reply.code(status).send({ error: message })
}

function describe(error) {
  if (error instanceof postgres.PostgresError) {
    if (error.code.startsWith('22')) return [400, 'A value cannot be stored']
    if (error.constraint_name === 'tasks_user_id_fkey') {
      return [401, 'The account of this token no longer exists']
    }
  }
  if (error.statusCode < 500) return [error.statusCode, error.message]
  return [500, 'Internal server error']
}
