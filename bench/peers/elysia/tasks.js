// The tasks of the account that the token names.
import { Elysia, t } from 'elysia'
import { toRfc3339 } from './db.js'
import { Refusal } from './errors.js'

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 100

const Title = t.String({ minLength: 1, maxLength: 200 })
const Description = t.Union([t.String({ maxLength: 2000 }), t.Null()])
const DueAt = t.Union([t.String({ format: 'date-time' }), t.Null()])
const TaskStatus = t.Union(['todo', 'in_progress', 'done', 'cancelled'].map((name) => t.Literal(name)))
const Priority = t.Union(['low', 'medium', 'high', 'critical'].map((name) => t.Literal(name)))

const TaskId = t.Object({ id: t.String({ format: 'uuid' }) })

const Page = t.Object(
  {
    status: t.Optional(TaskStatus),
    limit: t.Optional(t.Integer({ minimum: 1 })),
    offset: t.Optional(t.Integer({ minimum: 0 })),
  },
  { additionalProperties: false },
)

const NewTask = t.Object(
  {
    title: Title,
    description: t.Optional(Description),
    priority: t.Optional(Priority),
    due_at: t.Optional(DueAt),
  },
  { additionalProperties: false },
)

const TaskChanges = t.Object(
  {
    title: t.Optional(Title),
    description: t.Optional(Description),
    status: t.Optional(TaskStatus),
    priority: t.Optional(Priority),
    due_at: t.Optional(DueAt),
  },
  { additionalProperties: false, minProperties: 1 },
)

export function taskRoutes(sql, tokens) {
  // A part of a statement, which does not change.
  const columns = sql`
    id, user_id, title, description, status, priority, due_at::text as due_at,
    created_at::text as created_at, updated_at::text as updated_at`

  return new Elysia({ prefix: '/tasks', normalize: false })
    .derive(({ headers }) => ({ userId: tokens.verify(headers.authorization) }))
    .get('', listTasks, { query: Page })
    .post('', createTask, { body: NewTask })
    .get('/:id', readTask, { params: TaskId })
    .patch('/:id', updateTask, { params: TaskId, body: TaskChanges })
    .delete('/:id', deleteTask, { params: TaskId })

  async function listTasks({ userId, query }) {
    const { status, limit = LIMIT_DEFAULT, offset = 0 } = query
    const count = Math.min(limit, LIMIT_MAX)
    const rows = status
      ? await sql`
          select ${columns} from tasks where user_id = ${userId} and status = ${status}
          order by tasks.created_at desc, id desc limit ${count} offset ${offset}`
      : await sql`
          select ${columns} from tasks where user_id = ${userId}
          order by tasks.created_at desc, id desc limit ${count} offset ${offset}`
    return rows.map(toTask)
  }

  async function createTask({ userId, body, set }) {
    const { title, description = null, priority = 'medium', due_at = null } = body
    const [row] = await sql`
      insert into tasks (user_id, id, title, description, priority, due_at)
      values (${userId}, ${Bun.randomUUIDv7()}, ${title}, ${description}, ${priority}, ${due_at})
      returning ${columns}`
    set.status = 201
    return toTask(row)
  }

  async function readTask({ userId, params: { id } }) {
    const [row] = await sql`
      select ${columns} from tasks where user_id = ${userId} and id = ${id}`
    return toTask(row)
  }

  async function updateTask({ userId, params: { id }, body }) {
    const { title = null, description, status = null, priority = null, due_at } = body
    const [row] = await sql`
      update tasks set
        title = coalesce(${title}, title),
        description = case when ${description !== undefined} then ${description ?? null} else description end,
        status = coalesce(${status}, status),
        priority = coalesce(${priority}, priority),
        due_at = case when ${due_at !== undefined} then ${due_at ?? null} else due_at end
      where user_id = ${userId} and id = ${id} returning ${columns}`
    return toTask(row)
  }

  async function deleteTask({ userId, params: { id }, set }) {
    const { count } = await sql`delete from tasks where user_id = ${userId} and id = ${id}`
    if (count === 0) throw new Refusal(404, 'Not found: task')
    set.status = 204
  }
}

function toTask(row) {
  if (!row) throw new Refusal(404, 'Not found: task')
  if (row.due_at !== null) row.due_at = toRfc3339(row.due_at)
  row.created_at = toRfc3339(row.created_at)
  row.updated_at = toRfc3339(row.updated_at)
  return row
}
