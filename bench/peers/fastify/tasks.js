// The tasks of the account that the token names.
import { v7 as uuidv7, validate } from 'uuid'
import { NewTask, Task, TaskChanges, TaskId, TaskListQuery, Tasks } from './schemas.js'

const LIMIT_MAX = 100

export async function taskRoutes(app) {
  const { sql } = app
  const columns = sql`
    id, user_id, title, description, status, priority, due_at, created_at, updated_at`

  app.addHook('onRequest', async (request, reply) => {
    await request.jwtVerify()
    if (!validate(request.user.sub)) {
      return reply.code(401).send({ error: 'The token does not name an account' })
    }
  })

  const listSchema = { querystring: TaskListQuery, response: { 200: Tasks } }
  app.get('/tasks', { schema: listSchema }, async (request) => {
    const { status, limit, offset } = request.query
    return sql`
      select ${columns} from tasks
      where user_id = ${request.user.sub} ${status ? sql`and status = ${status}` : sql``}
      order by created_at desc, id desc limit ${Math.min(limit, LIMIT_MAX)} offset ${offset}`
  })

  const createSchema = { body: NewTask, response: { 201: Task } }
  app.post('/tasks', { schema: createSchema }, async (request, reply) => {
    const { title, description = null, priority, due_at = null } = request.body
    const [task] = await sql`
      insert into tasks (user_id, id, title, description, priority, due_at)
      values (
        ${request.user.sub}, ${uuidv7()}, ${title}, ${description}, ${priority}, ${due_at}
      )
      returning ${columns}`
    reply.code(201)
    return task
  })

  const readSchema = { params: TaskId, response: { 200: Task } }
  app.get('/tasks/:id', { schema: readSchema }, async (request, reply) => {
    const [task] = await sql`
      select ${columns} from tasks where user_id = ${request.user.sub} and id = ${request.params.id}`
    return task ?? notFound(reply)
  })

  const changeSchema = { params: TaskId, body: TaskChanges, response: { 200: Task } }
  app.patch('/tasks/:id', { schema: changeSchema }, async (request, reply) => {
    // The schema lets only names of columns through.
    const [task] = await sql`
      update tasks set ${sql(request.body)}
      where user_id = ${request.user.sub} and id = ${request.params.id}
      returning ${columns}`
    return task ?? notFound(reply)
  })

  app.delete('/tasks/:id', { schema: { params: TaskId } }, async (request, reply) => {
    const { count } = await sql`
      delete from tasks where user_id = ${request.user.sub} and id = ${request.params.id}`
    if (count === 0) return notFound(reply)
    return reply.code(204).send()
  })
}

function notFound(reply) {
  return reply.code(404).send({ error: 'Not found: task' })
}
