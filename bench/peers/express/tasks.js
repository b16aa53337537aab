// The tasks of the account that the token names.
import { Router } from 'express'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { HttpError } from './errors.js'

const LIMIT_MAX = 100

const TaskStatus = z.enum(['todo', 'in_progress', 'done', 'cancelled'])
const Priority = z.enum(['low', 'medium', 'high', 'critical'])
const Title = z.string().min(1).max(200)
const Description = z.string().max(2000).nullish()
const DueAt = z.iso.datetime({ offset: true }).nullish()

const TaskId = z.guid()

const TaskListQuery = z.strictObject({
  status: TaskStatus.optional(),
  limit: z.coerce.number().int().min(1).default(50),
  offset: z.coerce.number().int().min(0).default(0),
})

const NewTask = z.strictObject({
  title: Title,
  description: Description,
  priority: Priority.default('medium'),
  due_at: DueAt,
})

const TaskChanges = z
  .strictObject({
    title: Title.optional(),
    description: Description,
    status: TaskStatus.optional(),
    priority: Priority.optional(),
    due_at: DueAt,
  })
  .refine((changes) => Object.keys(changes).length > 0, 'Nothing to change')

const COLUMNS = 'id, user_id, title, description, status, priority, due_at, created_at, updated_at'

const LIST_TASKS = {
  name: 'list_tasks',
  text: `select ${COLUMNS} from tasks where user_id = $1
    order by created_at desc, id desc limit $2 offset $3`,
}

const LIST_TASKS_BY_STATUS = {
  name: 'list_tasks_by_status',
  text: `select ${COLUMNS} from tasks where user_id = $1 and status = $4
    order by created_at desc, id desc limit $2 offset $3`,
}

const INSERT_TASK = {
  name: 'insert_task',
  text: `insert into tasks (user_id, id, title, description, priority, due_at)
    values ($1, $2, $3, $4, $5, $6) returning ${COLUMNS}`,
}

const FIND_TASK = {
  name: 'find_task',
  text: `select ${COLUMNS} from tasks where user_id = $1 and id = $2`,
}

// $7 and $8 say that description and due_at are given: null alone could not tell "clear" from "leave".
const UPDATE_TASK = {
  name: 'update_task',
  text: `update tasks set
      title = coalesce($3, title),
      status = coalesce($4, status),
      priority = coalesce($5, priority),
      description = case when $7::boolean then $6 else description end,
      due_at = case when $8::boolean then $9 else due_at end
    where user_id = $1 and id = $2 returning ${COLUMNS}`,
}

const DELETE_TASK = {
  name: 'delete_task',
  text: 'delete from tasks where user_id = $1 and id = $2',
}

export function taskRouter(pool, tokens) {
  const router = Router()
  router.use(tokens.requireUser)

  router.get('/', async (req, res) => {
    const { status, limit, offset } = TaskListQuery.parse(req.query)
    const page = [req.userId, Math.min(limit, LIMIT_MAX), offset]
    const { rows } = await pool.query(
      status
        ? { ...LIST_TASKS_BY_STATUS, values: [...page, status] }
        : { ...LIST_TASKS, values: page },
    )
    res.json(rows)
  })

  router.post('/', async (req, res) => {
    const { title, description, priority, due_at } = NewTask.parse(req.body)
    const values = [req.userId, uuidv7(), title, description ?? null, priority, due_at ?? null]
    const { rows } = await pool.query({ ...INSERT_TASK, values })
    res.status(201).json(rows[0])
  })

  router.get('/:id', async (req, res) => {
    const values = [req.userId, TaskId.parse(req.params.id)]
    const { rows } = await pool.query({ ...FIND_TASK, values })
    res.json(found(rows[0]))
  })

  router.patch('/:id', async (req, res) => {
    const id = TaskId.parse(req.params.id)
    const { title, status, priority, description, due_at } = TaskChanges.parse(req.body)
    const values = [
      req.userId,
      id,
      title ?? null,
      status ?? null,
      priority ?? null,
      description ?? null,
      description !== undefined,
      due_at !== undefined,
      due_at ?? null,
    ]
    const { rows } = await pool.query({ ...UPDATE_TASK, values })
    res.json(found(rows[0]))
  })

  router.delete('/:id', async (req, res) => {
    const values = [req.userId, TaskId.parse(req.params.id)]
    const { rowCount } = await pool.query({ ...DELETE_TASK, values })
    found(rowCount || undefined)
    res.status(204).end()
  })

  return router
}

function found(value) {
  if (value === undefined) throw new HttpError(404, 'Not found: task')
  return value
}
