// Runs in listeners. The statements on tasks; each carries user_id, so "not yours" equals "not found".
import { v7 as uuidv7 } from 'uuid'
import { type Database, type Statement, statement } from './client.ts'

export type TaskStatus = 'todo' | 'in_progress' | 'done' | 'cancelled'
export type Priority = 'low' | 'medium' | 'high' | 'critical'

/** A task as clients see it; times are RFC 3339 UTC with the microseconds PostgreSQL keeps. */
export interface TaskRow {
  id: string
  user_id: string
  title: string
  description: string | null
  status: TaskStatus
  priority: Priority
  due_at: string | null
  created_at: string
  updated_at: string
}

export interface NewTask {
  title: string
  description?: string | null
  priority?: Priority
  due_at?: string | null
}

/** Absent leaves a field as it is; `null` clears it. */
export interface TaskChanges {
  title?: string
  description?: string | null
  status?: TaskStatus
  priority?: Priority
  due_at?: string | null
}

export interface TaskPage {
  status?: TaskStatus
  limit: number
  offset: number
}

const COLUMNS = 'id, user_id, title, description, status, priority, due_at, created_at, updated_at'

const FIND_TASK = statement(`select ${COLUMNS} from tasks where user_id = $1 and id = $2`)

const LIST_TASKS = statement(`
  select ${COLUMNS} from tasks where user_id = $1
  order by created_at desc, id desc limit $2 offset $3`)

const LIST_TASKS_BY_STATUS = statement(`
  select ${COLUMNS} from tasks where user_id = $1 and status = $2
  order by created_at desc, id desc limit $3 offset $4`)

const INSERT_TASK = statement(`
  insert into tasks (user_id, id, title, description, priority, due_at)
  values ($1, $2, $3, $4, $5, $6)
  returning ${COLUMNS}`)

// $5 and $9 say that description and due_at are given: null alone could not tell "clear" from "leave".
const UPDATE_TASK = statement(`
  update tasks set
    title = coalesce($3, title),
    description = case when $5::text = 'given' then $4 else description end,
    status = coalesce($6, status),
    priority = coalesce($7, priority),
    due_at = case when $9::text = 'given' then $8 else due_at end
  where user_id = $1 and id = $2
  returning ${COLUMNS}`)

const DELETE_TASK = statement('delete from tasks where user_id = $1 and id = $2 returning id')

export const TASK_STATEMENTS: readonly Statement[] = [
  FIND_TASK,
  LIST_TASKS,
  LIST_TASKS_BY_STATUS,
  INSERT_TASK,
  UPDATE_TASK,
  DELETE_TASK,
]

export async function findTask(
  db: Database,
  userId: string,
  id: string,
): Promise<TaskRow | undefined> {
  const rows = await db.run<TaskRow>(FIND_TASK, [userId, id])
  return rows[0]
}

/** Newest first. */
export function listTasks(db: Database, userId: string, page: TaskPage): Promise<TaskRow[]> {
  return page.status === undefined
    ? db.run<TaskRow>(LIST_TASKS, [userId, page.limit, page.offset])
    : db.run<TaskRow>(LIST_TASKS_BY_STATUS, [userId, page.status, page.limit, page.offset])
}

/** Rejects on `tasks_user_id_fkey` when the account is gone. */
export async function insertTask(db: Database, userId: string, task: NewTask): Promise<TaskRow> {
  const rows = await db.run<TaskRow>(INSERT_TASK, [
    userId,
    uuidv7(),
    task.title,
    task.description ?? null,
    task.priority ?? 'medium',
    task.due_at ?? null,
  ])
  const row = rows[0]
  if (!row) throw new Error('PostgreSQL returned no row for an insert')
  return row
}

export async function updateTask(
  db: Database,
  userId: string,
  id: string,
  changes: TaskChanges,
): Promise<TaskRow | undefined> {
  const rows = await db.run<TaskRow>(UPDATE_TASK, [
    userId,
    id,
    changes.title ?? null,
    changes.description ?? null,
    presence(changes.description),
    changes.status ?? null,
    changes.priority ?? null,
    changes.due_at ?? null,
    presence(changes.due_at),
  ])
  return rows[0]
}

/** True when there was such a task. */
export async function deleteTask(db: Database, userId: string, id: string): Promise<boolean> {
  const rows = await db.run(DELETE_TASK, [userId, id])
  return rows.length > 0
}

/** Text, not boolean: the driver can turn a true parameter into false when it retries (#1197). */
function presence(value: unknown): string | null {
  return value === undefined ? null : 'given'
}
