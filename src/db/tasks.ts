// Runs in listeners. The statements on tasks; each carries user_id, so "not yours" equals "not found".
import { v7 as uuidv7 } from 'uuid'
import { Batcher, type Batching } from './batch.ts'
import { type Database, type Parameter, type Statement, statement } from './client.ts'

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

/** The statements on tasks of one listener. */
export interface Tasks {
  find(userId: string, id: string): Promise<TaskRow | undefined>
  /** Newest first. */
  list(userId: string, page: TaskPage): Promise<TaskRow[]>
  /** Rejects on `tasks_user_id_fkey` when the account is gone. */
  insert(userId: string, task: NewTask): Promise<TaskRow>
  update(userId: string, id: string, changes: TaskChanges): Promise<TaskRow | undefined>
  /** True when there was such a task. */
  delete(userId: string, id: string): Promise<boolean>
}

interface TaskKey {
  user_id: string
  id: string
}

const COLUMNS = columnsOf('tasks')

const FIND_TASK = statement(`select ${COLUMNS} from tasks where user_id = $1 and id = $2`)

const FIND_TASKS = statement(`
  select ${COLUMNS} from unnest($1::uuid[], $2::uuid[]) as wanted (user_id, id)
  join tasks on tasks.user_id = wanted.user_id and tasks.id = wanted.id`)

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

const INSERT_TASKS = statement(`
  insert into tasks (user_id, id, title, description, priority, due_at)
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::priority[], $6::timestamptz[])
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

const UPDATE_TASKS = statement(`
  update tasks set
    title = coalesce(c.title, tasks.title),
    description = case when c.description_is = 'given' then c.description else tasks.description end,
    status = coalesce(c.status, tasks.status),
    priority = coalesce(c.priority, tasks.priority),
    due_at = case when c.due_at_is = 'given' then c.due_at else tasks.due_at end
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::task_status[],
    $7::priority[], $8::timestamptz[], $9::text[])
    as c (user_id, id, title, description, description_is, status, priority, due_at, due_at_is)
  where tasks.user_id = c.user_id and tasks.id = c.id
  returning ${COLUMNS}`)

const DELETE_TASK = statement(
  'delete from tasks where user_id = $1 and id = $2 returning user_id, id',
)

const DELETE_TASKS = statement(`
  delete from tasks using unnest($1::uuid[], $2::uuid[]) as c (user_id, id)
  where tasks.user_id = c.user_id and tasks.id = c.id
  returning tasks.user_id, tasks.id`)

export const TASK_STATEMENTS: readonly Statement[] = [
  FIND_TASK,
  FIND_TASKS,
  LIST_TASKS,
  LIST_TASKS_BY_STATUS,
  INSERT_TASK,
  INSERT_TASKS,
  UPDATE_TASK,
  UPDATE_TASKS,
  DELETE_TASK,
  DELETE_TASKS,
]

interface Insertion extends TaskKey {
  task: NewTask
}

interface Update extends TaskKey {
  changes: TaskChanges
}

const FINDING: Batching<TaskKey, TaskRow> = {
  one: FIND_TASK,
  many: FIND_TASKS,
  values: keyValues,
  nameOf,
  nameOfRow: nameOf,
  writes: false,
}

const INSERTING: Batching<Insertion, TaskRow> = {
  one: INSERT_TASK,
  many: INSERT_TASKS,
  values: ({ user_id, id, task }) => [
    user_id,
    id,
    task.title,
    task.description ?? null,
    task.priority ?? 'medium',
    task.due_at ?? null,
  ],
  nameOf,
  nameOfRow: nameOf,
  writes: true,
}

const UPDATING: Batching<Update, TaskRow> = {
  one: UPDATE_TASK,
  many: UPDATE_TASKS,
  values: ({ user_id, id, changes }) => [
    user_id,
    id,
    changes.title ?? null,
    changes.description ?? null,
    presence(changes.description),
    changes.status ?? null,
    changes.priority ?? null,
    changes.due_at ?? null,
    presence(changes.due_at),
  ],
  nameOf,
  nameOfRow: nameOf,
  writes: true,
}

const DELETING: Batching<TaskKey, TaskKey> = {
  one: DELETE_TASK,
  many: DELETE_TASKS,
  values: keyValues,
  nameOf,
  nameOfRow: nameOf,
  writes: true,
}

/** @param batchCallsMax calls that one statement may carry; 1 runs one statement per call */
export function createTasks(db: Database, batchCallsMax: number): Tasks {
  const finds = new Batcher(db, FINDING, batchCallsMax)
  const inserts = new Batcher(db, INSERTING, batchCallsMax)
  const updates = new Batcher(db, UPDATING, batchCallsMax)
  const deletes = new Batcher(db, DELETING, batchCallsMax)
  return {
    find: (user_id, id) => finds.call({ user_id, id: id.toLowerCase() }),
    list: (userId, { status, limit, offset }) =>
      status === undefined
        ? db.run<TaskRow>(LIST_TASKS, [userId, limit, offset])
        : db.run<TaskRow>(LIST_TASKS_BY_STATUS, [userId, status, limit, offset]),
    insert: async (user_id, task) => {
      const row = await inserts.call({ user_id, id: uuidv7(), task })
      if (!row) throw new Error('PostgreSQL returned no row for an insert')
      return row
    },
    update: (user_id, id, changes) => updates.call({ user_id, id: id.toLowerCase(), changes }),
    delete: async (user_id, id) =>
      (await deletes.call({ user_id, id: id.toLowerCase() })) !== undefined,
  }
}

/** Ids are compared as text, and PostgreSQL answers them in lower case. */
function nameOf({ user_id, id }: TaskKey): string {
  return user_id + id
}

function keyValues({ user_id, id }: TaskKey): Parameter[] {
  return [user_id, id]
}

function columnsOf(table: string): string {
  const names = 'id user_id title description status priority due_at created_at updated_at'
  return names.replaceAll(/(\w+) ?/g, `, ${table}.$1`).slice(2)
}

/** Text, not boolean: the driver can turn a true parameter into false when it retries (#1197). */
function presence(value: unknown): string | null {
  return value === undefined ? null : 'given'
}
