// Runs in listeners. The tasks of the account that the token names.
import * as Type from '@sinclair/typebox'
import { notFound } from '../errors.ts'
import { defineRoute, type Route } from '../route.ts'
import { Instant, nullable, Priority, Task, TaskStatus, Text, Uuid } from '../schemas.ts'

const LIMIT_DEFAULT = 50
/** A larger limit means this one, as in the article. */
const LIMIT_MAX = 100

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
    offset: Type.Optional(Type.Integer({ minimum: 0, default: 0 })),
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
  handle: ({ tasks }, { userId, query }) =>
    tasks.list(userId, {
      ...query,
      limit: Math.min(query.limit ?? LIMIT_DEFAULT, LIMIT_MAX),
      offset: query.offset ?? 0,
    }),
})

const createTask = defineRoute({
  method: 'POST',
  path: '/api/v1/tasks',
  summary: 'Create a task',
  tag: 'tasks',
  auth: true,
  body: NewTask,
  success: { status: 201, description: 'The new task', schema: Task },
  location: (task) => `/api/v1/tasks/${task.id}`,
  handle: ({ tasks }, { userId, body }) => tasks.insert(userId, body),
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

export const taskRoutes: readonly Route[] = [
  readTasks,
  createTask,
  readTask,
  changeTask,
  removeTask,
]
