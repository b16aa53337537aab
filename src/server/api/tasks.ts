// Runs in listeners. The tasks of the account that the token names.

import type { TSchema } from '@sinclair/typebox'
import * as Type from '@sinclair/typebox'
import { type Cursor, decodeCursor, encodeCursor } from '../../db/cursor.ts'
import {
  deleteTask,
  findTask,
  insertTask,
  listTasks,
  PRIORITIES,
  TASK_STATUSES,
  type Task as TaskRow,
  type NewTask as TaskToInsert,
  type TaskChanges as TaskUpdate,
  taskOperations,
  updateTask,
} from '../../db/tasks.ts'
import { invalidRequest, notFound } from '../http/problem.ts'
import { Ready } from '../http/route.ts'
import { literals, nullable, Text } from '../http/validate.ts'
import { defineRoute, type Resource } from './context.ts'
import { CursorText, Instant, Uuid } from './schemas.ts'

const LIMIT_DEFAULT = 50
/** A larger limit counts as this one, as in the article. */
const LIMIT_MAX = 100

/** The largest number that PostgreSQL's int holds. */
const OFFSET_MAX = 2_147_483_647

const TITLE = { minLength: 1, maxLength: 200 }
const DESCRIPTION = { minLength: 0, maxLength: 2000 }

const TaskStatus = literals(TASK_STATUSES)
const Priority = literals(PRIORITIES)

const TaskId = Type.Object({ id: Uuid })

const TaskListQuery = Type.Object(
  {
    status: Type.Optional(TaskStatus),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: LIMIT_DEFAULT,
        description: `A number above ${LIMIT_MAX} counts as ${LIMIT_MAX}`,
      }),
    ),
    offset: Type.Optional(
      Type.Integer({ minimum: 0, maximum: OFFSET_MAX, default: 0, description: 'Slow when large' }),
    ),
    cursor: Type.Optional(CursorText),
  },
  { additionalProperties: false },
)

// The three shapes name exactly the fields of their types in src/db/tasks.ts: neither can grow without the other.
const Task = Type.Object(
  {
    id: Uuid,
    user_id: Uuid,
    title: Type.String(),
    description: nullable(Type.String()),
    status: TaskStatus,
    priority: Priority,
    due_at: nullable(Instant),
    created_at: Instant,
    updated_at: Instant,
  } satisfies Record<keyof TaskRow, TSchema>,
  { $id: 'Task' },
)

const NewTask = Type.Object(
  {
    title: Text(TITLE, { examples: ['Write integration tests'] }),
    description: Type.Optional(nullable(Text(DESCRIPTION))),
    priority: Type.Optional(Priority),
    due_at: Type.Optional(nullable(Instant)),
  } satisfies Record<keyof TaskToInsert, TSchema>,
  { $id: 'NewTask', additionalProperties: false },
)

const TaskChanges = Type.Object(
  {
    title: Type.Optional(Text(TITLE)),
    description: Type.Optional(nullable(Text(DESCRIPTION))),
    status: Type.Optional(TaskStatus),
    priority: Type.Optional(Priority),
    due_at: Type.Optional(nullable(Instant)),
  } satisfies Record<keyof TaskUpdate, TSchema>,
  { $id: 'TaskChanges', additionalProperties: false, minProperties: 1 },
)

const readTasks = defineRoute({
  method: 'GET',
  path: '/api/v1/tasks',
  summary: 'Your tasks, newest first',
  tag: 'tasks',
  auth: true,
  priority: 'heavy',
  query: TaskListQuery,
  responses: {
    200: {
      description: 'A page of tasks',
      body: Type.Array(Task),
      headers: {
        link: 'Link to the next page, rel="next" (RFC 8288), relative to the URL of the request; absent when this page is not full',
      },
    },
  },
  handle: async ({ queue }, call, { query }) => {
    const { status, offset = 0 } = query
    const limit = Math.min(query.limit ?? LIMIT_DEFAULT, LIMIT_MAX)
    const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor)
    if (after && query.offset !== undefined) throw invalidRequest('Send cursor or offset, not both')
    const page = await listTasks(queue, call, {
      limit,
      offset,
      ...(status ? { status } : {}),
      ...(after ? { after } : {}),
    })
    const body = new Ready<TaskRow[]>(page.json)
    if (!page.last) return { status: 200, body }
    return { status: 200, headers: { link: nextLink(limit, status, page.last) }, body }
  },
})

const createTask = defineRoute({
  method: 'POST',
  path: '/api/v1/tasks',
  summary: 'Create a task',
  tag: 'tasks',
  auth: true,
  priority: 'write',
  body: NewTask,
  responses: {
    201: {
      description: 'The new task',
      body: Task,
      headers: { location: 'URL of the task, relative to the URL of the request' },
    },
  },
  handle: async ({ queue, reportTask }, call, { body }) => {
    const { id, json } = await insertTask(queue, call, body)
    reportTask('task_created', call, id)
    // Relative, as `Link` is: both are right behind a proxy that serves this path under another one.
    const headers = { location: `tasks/${id}` }
    return { status: 201, headers, body: new Ready<TaskRow>(json) }
  },
})

const readTask = defineRoute({
  method: 'GET',
  path: '/api/v1/tasks/:id',
  summary: 'Read a task',
  tag: 'tasks',
  auth: true,
  priority: 'read',
  params: TaskId,
  responses: { 200: { description: 'The task', body: Task } },
  problems: ['not_found'],
  handle: async ({ queue }, call, { params }) => {
    const task = await findTask(queue, call, params.id)
    if (!task) throw notFound('task')
    return { status: 200, body: new Ready<TaskRow>(task) }
  },
})

const changeTask = defineRoute({
  method: 'PATCH',
  path: '/api/v1/tasks/:id',
  summary: 'Update a task; absent fields stay, null clears description and due_at',
  tag: 'tasks',
  auth: true,
  priority: 'write',
  params: TaskId,
  body: TaskChanges,
  responses: { 200: { description: 'The updated task', body: Task } },
  problems: ['not_found'],
  handle: async ({ queue, reportTask }, call, { params, body }) => {
    const task = await updateTask(queue, call, params.id, body)
    if (!task) throw notFound('task')
    reportTask('task_updated', call, params.id)
    return { status: 200, body: new Ready<TaskRow>(task) }
  },
})

const removeTask = defineRoute({
  method: 'DELETE',
  path: '/api/v1/tasks/:id',
  summary: 'Delete a task',
  tag: 'tasks',
  auth: true,
  priority: 'write',
  params: TaskId,
  responses: { 204: { description: 'Deleted' } },
  problems: ['not_found'],
  handle: async ({ queue, reportTask }, call, { params }) => {
    if (!(await deleteTask(queue, call, params.id))) throw notFound('task')
    reportTask('task_deleted', call, params.id)
    return { status: 204 }
  },
})

/** The value of `Link` (RFC 8288): the same path with another query. */
function nextLink(limit: number, status: string | undefined, next: Cursor): string {
  const ofStatus = status === undefined ? '' : `&status=${status}`
  return `<?limit=${limit}${ofStatus}&cursor=${encodeCursor(next)}>; rel="next"`
}

export const tasks: Resource = {
  routes: [readTasks, createTask, readTask, changeTask, removeTask],
  operations: taskOperations,
}
