// Runs in listeners. The tasks of the account that the token names.
import * as Type from '@sinclair/typebox'
import { type Cursor, decodeCursor, encodeCursor } from '../../db/cursor.ts'
import { invalidRequest, notFound } from '../http/problem.ts'
import { defineRoute, type Route, WithHeaders } from '../http/route.ts'
import { Instant, nullable, Priority, Task, TaskStatus, Text, Uuid } from './schemas.ts'

const LIMIT_DEFAULT = 50
/** A larger limit means this one, as in the article. */
const LIMIT_MAX = 100

/** The largest that PostgreSQL's int holds. */
const OFFSET_MAX = 2_147_483_647

const TITLE = { minLength: 1, maxLength: 200 }
const DESCRIPTION = { minLength: 0, maxLength: 2000 }

const TaskId = Type.Object({ id: Uuid })

const TaskListQuery = Type.Object(
  {
    status: Type.Optional(TaskStatus),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: LIMIT_DEFAULT,
        description: `More than ${LIMIT_MAX} means ${LIMIT_MAX}`,
      }),
    ),
    offset: Type.Optional(
      Type.Integer({ minimum: 0, maximum: OFFSET_MAX, default: 0, description: 'Slow when large' }),
    ),
    cursor: Type.Optional(
      Type.String({
        format: 'cursor',
        description: 'From the `Link` of the page before; as fast however far; not with `offset`',
      }),
    ),
  },
  { additionalProperties: false },
)

const NewTask = Type.Object(
  {
    title: Text(TITLE, { examples: ['Write integration tests'] }),
    description: Type.Optional(nullable(Text(DESCRIPTION))),
    priority: Type.Optional(Priority),
    due_at: Type.Optional(nullable(Instant)),
  },
  { $id: 'NewTask', additionalProperties: false },
)

const TaskChanges = Type.Object(
  {
    title: Type.Optional(Text(TITLE)),
    description: Type.Optional(nullable(Text(DESCRIPTION))),
    status: Type.Optional(TaskStatus),
    priority: Type.Optional(Priority),
    due_at: Type.Optional(nullable(Instant)),
  },
  { $id: 'TaskChanges', additionalProperties: false, minProperties: 1 },
)

const readTasks = defineRoute({
  method: 'GET',
  path: '/api/v1/tasks',
  summary: 'Your tasks, newest first',
  tag: 'tasks',
  auth: true,
  query: TaskListQuery,
  success: { status: 200, description: 'A page of tasks', schema: Type.Array(Task) },
  answerHeaders: { link: 'The next page, with rel="next", when this one is full (RFC 8288)' },
  handle: async ({ tasks }, { userId, query }) => {
    const { status, offset = 0 } = query
    const limit = Math.min(query.limit ?? LIMIT_DEFAULT, LIMIT_MAX)
    const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor)
    if (after && query.offset !== undefined) throw invalidRequest('Send cursor or offset, not both')
    const page = await tasks.list(userId, {
      limit,
      offset,
      ...(status ? { status } : {}),
      ...(after ? { after } : {}),
    })
    const last = page.at(-1)
    if (!last || page.length < limit) return page
    return new WithHeaders(page, { link: nextLink(limit, status, last) })
  },
})

const createTask = defineRoute({
  method: 'POST',
  path: '/api/v1/tasks',
  summary: 'Create a task',
  tag: 'tasks',
  auth: true,
  body: NewTask,
  success: { status: 201, description: 'The new task', schema: Task },
  answerHeaders: { location: 'Where it is' },
  handle: async ({ tasks }, { userId, body }) => {
    const task = await tasks.insert(userId, body)
    return new WithHeaders(task, { location: `/api/v1/tasks/${task.id}` })
  },
})

const readTask = defineRoute({
  method: 'GET',
  path: '/api/v1/tasks/:id',
  summary: 'Read a task',
  tag: 'tasks',
  auth: true,
  params: TaskId,
  success: { status: 200, description: 'The task', schema: Task },
  errors: ['not_found'],
  handle: async ({ tasks }, { userId, params }) => {
    const task = await tasks.find(userId, params.id)
    if (!task) throw notFound('task')
    return task
  },
})

const changeTask = defineRoute({
  method: 'PATCH',
  path: '/api/v1/tasks/:id',
  summary: 'Change a task; absent fields stay, null clears description and due_at',
  tag: 'tasks',
  auth: true,
  params: TaskId,
  body: TaskChanges,
  success: { status: 200, description: 'The task as it is now', schema: Task },
  errors: ['not_found'],
  handle: async ({ tasks }, { userId, params, body }) => {
    const task = await tasks.update(userId, params.id, body)
    if (!task) throw notFound('task')
    return task
  },
})

const removeTask = defineRoute({
  method: 'DELETE',
  path: '/api/v1/tasks/:id',
  summary: 'Delete a task',
  tag: 'tasks',
  auth: true,
  params: TaskId,
  success: { status: 204, description: 'It is gone' },
  errors: ['not_found'],
  handle: async ({ tasks }, { userId, params }) => {
    if (!(await tasks.delete(userId, params.id))) throw notFound('task')
  },
})

/** RFC 8288. Relative, so that it holds behind any proxy. */
function nextLink(limit: number, status: string | undefined, next: Cursor): string {
  const ofStatus = status === undefined ? '' : `&status=${status}`
  return `</api/v1/tasks?limit=${limit}${ofStatus}&cursor=${encodeCursor(next)}>; rel="next"`
}

export const taskRoutes: readonly Route[] = [
  readTasks,
  createTask,
  readTask,
  changeTask,
  removeTask,
]
