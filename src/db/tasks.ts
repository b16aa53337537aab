// Runs in listeners. The operations on tasks; each carries user_id, so "not yours" equals "not found".
import type { Cursor } from './cursor.ts'
import { newId } from './id.ts'
import { batched, type Operation, type SqlType, single } from './operation.ts'
import type { AccountCall, Queue } from './queue.ts'
import { type Column, type ColumnsOf, typeOf } from './row.ts'
import {
  FOUND,
  type Page,
  type PageState,
  pageReading,
  type TaskJson,
  type TaskKey,
  type TaskList,
  taskReading,
} from './task-json.ts'

export const TASK_STATUSES = ['todo', 'in_progress', 'done', 'cancelled'] as const
export const PRIORITIES = ['low', 'medium', 'high', 'critical'] as const

export type TaskStatus = (typeof TASK_STATUSES)[number]
export type Priority = (typeof PRIORITIES)[number]

/** What clients write; times are RFC 3339 UTC with the microseconds that PostgreSQL keeps. */
export interface TaskFields {
  title: string
  description: string | null
  status: TaskStatus
  priority: Priority
  due_at: string | null
}

/** A task as clients see it. */
export interface Task extends TaskFields {
  id: string
  user_id: string
  created_at: string
  updated_at: string
}

export type NewTask = Pick<TaskFields, 'title'> & Partial<Omit<TaskFields, 'title' | 'status'>>

/** An absent field stays as it is; `null` clears it. */
export type TaskChanges = Partial<TaskFields>

export interface TaskPage {
  status?: TaskStatus
  /** The page starts behind this task. */
  after?: Cursor
  limit: number
  offset: number
}

const KEY = { user_id: 'uuid', id: 'uuid' } as const
const FIELDS = {
  title: 'text',
  description: 'text',
  status: 'task_status',
  priority: 'priority',
  due_at: 'timestamptz',
} as const satisfies Record<keyof TaskFields, SqlType>
/** The columns of a task that are not in its key, which the caller knows; in the order of the JSON. */
const COLUMNS = {
  title: 'text',
  description: 'text?',
  status: 'text',
  priority: 'text',
  due_at: 'timestamptz?',
  created_at: 'timestamptz',
  updated_at: 'timestamptz',
} as const satisfies ColumnsOf<Omit<Task, 'id' | 'user_id'>>
const LISTED = { id: 'uuid', ...COLUMNS } as const
const SELECTED = Object.entries<Column>(COLUMNS)
  .map(([name, column]) => (typeOf(column) === 'text' ? `t.${name}::text` : `t.${name}`))
  .join(', ')
const CHANGED = Object.keys(COLUMNS)
  .map((name) => `changed.${name}`)
  .join(', ')
const BY_KEY = { index: 'tasks_pkey', by: ['user_id', 'id'] }
const PAGE_BY = ['user_id', 'ROW(created_at, id)']
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

type StatusPage = Page & { status: TaskStatus }
type Insertion = TaskKey & Omit<TaskFields, 'status'>
type Clearable = {
  [Name in keyof TaskFields]: null extends TaskFields[Name] ? Name : never
}[keyof TaskFields]
/** `null` leaves a field as it is, or clears it where its flag says that it was given. */
type Update = TaskKey & { [Name in keyof TaskFields]: TaskFields[Name] | null } & {
  [Name in Clearable as `${Name}_given`]: 0 | 1
}

const PAGE = {
  user_id: 'uuid',
  after_at: 'timestamptz',
  after_id: 'uuid',
  page_limit: 'int',
  page_offset: 'int',
} as const

/** Numbers, because postgres.js can turn a true parameter into false when it retries (#1197). */
const GIVEN = { description_given: 'int', due_at_given: 'int' } as const satisfies Record<
  `${Clearable}_given`,
  SqlType
>
const CHANGES = Object.keys(FIELDS)
  .map((name) =>
    `${name}_given` in GIVEN
      ? `${name} = case when input.${name}_given = 1 then input.${name} else t.${name} end`
      : `${name} = coalesce(input.${name}, t.${name})`,
  )
  .join(', ')

/** Locks the rows in the order of their key, so that batches of two listeners cannot wait for each other's rows. */
const lockRows = (strength: string) => `
  locked as materialized (
    select input.* from input join tasks t on t.user_id = input.user_id and t.id = input.id
    order by t.user_id, t.id for ${strength} of t)`

const TASK = taskReading(COLUMNS)
const PAGE_OF_TASKS = pageReading(LISTED)

const operations = {
  find: batched({
    name: 'find_task',
    purpose: 'read',
    parameters: KEY,
    columns: COLUMNS,
    lookup: BY_KEY,
    text: `
      select input.n, ${SELECTED}
      from input left join tasks t on t.user_id = input.user_id and t.id = input.id`,
    reading: TASK,
  }),
  // Without batches: a list costs so much more than what a batch saves that batches of lists were slower.
  list: single({
    name: 'list_tasks',
    purpose: 'read',
    parameters: PAGE,
    columns: LISTED,
    lookup: { index: 'tasks_newest_idx', by: PAGE_BY },
    text: ({ user_id, after_at, after_id, page_limit, page_offset }) => `
      select t.id, ${SELECTED} from tasks t where t.user_id = ${user_id}
      and (t.created_at, t.id) < (${after_at}, ${after_id})
      order by t.created_at desc, t.id desc limit ${page_limit} offset ${page_offset}`,
    reading: PAGE_OF_TASKS,
  }),
  listByStatus: single<StatusPage, PageState | undefined, TaskList>({
    name: 'list_tasks_by_status',
    purpose: 'read',
    parameters: { ...PAGE, status: FIELDS.status } satisfies Record<keyof StatusPage, SqlType>,
    columns: LISTED,
    lookup: { index: 'tasks_status_newest_idx', by: [...PAGE_BY, 'status'] },
    text: ({ user_id, after_at, after_id, page_limit, page_offset, status }) => `
      select t.id, ${SELECTED} from tasks t where t.user_id = ${user_id} and t.status = ${status}
      and (t.created_at, t.id) < (${after_at}, ${after_id})
      order by t.created_at desc, t.id desc limit ${page_limit} offset ${page_offset}`,
    reading: PAGE_OF_TASKS,
  }),
  insert: batched<Insertion, TaskJson | undefined, TaskJson | undefined>({
    name: 'insert_task',
    purpose: 'insert',
    parameters: {
      ...KEY,
      title: FIELDS.title,
      description: FIELDS.description,
      priority: FIELDS.priority,
      due_at: FIELDS.due_at,
    } satisfies Record<keyof Insertion, SqlType>,
    columns: COLUMNS,
    violations: { tasks_user_id_fkey: 'account_gone' },
    text: ({ names, numberOf }) => `
      insert into tasks as t (${names}) select ${names} from input
      returning ${numberOf('id', 't.id')} as n, ${SELECTED}`,
    reading: TASK,
  }),
  update: batched<Update, TaskJson | undefined, TaskJson | undefined>({
    name: 'update_task',
    purpose: 'change',
    parameters: { ...KEY, ...FIELDS, ...GIVEN } satisfies Record<keyof Update, SqlType>,
    columns: COLUMNS,
    lookup: BY_KEY,
    text: `, ${lockRows('no key update')}, changed as (
      update tasks t set ${CHANGES} from locked as input
      where t.user_id = input.user_id and t.id = input.id
      returning input.n, ${SELECTED})
      select input.n, ${CHANGED} from input left join changed on changed.n = input.n`,
    rowOf,
    reading: TASK,
  }),
  delete: batched({
    name: 'delete_task',
    purpose: 'change',
    parameters: KEY,
    columns: { id: 'uuid' },
    lookup: BY_KEY,
    text: `, ${lockRows('update')}, deleted as (
      delete from tasks t using locked as input
      where t.user_id = input.user_id and t.id = input.id
      returning input.n, t.id)
      select input.n, deleted.id from input left join deleted on deleted.n = input.n`,
    rowOf,
    reading: FOUND,
  }),
}

/** Every operation on tasks, for whoever prepares or tests them all. */
export const taskOperations: readonly Operation<never>[] = Object.values(operations)

export function findTask(
  queue: Queue,
  call: AccountCall,
  id: string,
): Promise<TaskJson | undefined> {
  return queue.run(call, operations.find, keyOf(call, id))
}

/** Newest first. */
export function listTasks(queue: Queue, call: AccountCall, page: TaskPage): Promise<TaskList> {
  const { status, after, limit, offset } = page
  const input = {
    user_id: call.caller,
    // The first page is behind the end of time.
    after_at: after?.created_at ?? 'infinity',
    after_id: after?.id ?? LAST_ID,
    page_limit: limit,
    page_offset: offset,
  }
  if (status === undefined) return queue.run(call, operations.list, input)
  return queue.run(call, operations.listByStatus, { ...input, status })
}

/** The new task and its id. Rejects with the violation `account_gone` when the caller's account was deleted. */
export async function insertTask(
  queue: Queue,
  call: AccountCall,
  task: NewTask,
): Promise<{ id: string; json: TaskJson }> {
  const { title, description = null, priority = 'medium', due_at = null } = task
  const id = newId()
  const input = { user_id: call.caller, id, title, description, priority, due_at }
  const json = await queue.run(call, operations.insert, input)
  if (!json) throw new Error('PostgreSQL returned no row for an insert')
  return { id, json }
}

export function updateTask(
  queue: Queue,
  call: AccountCall,
  id: string,
  changes: TaskChanges,
): Promise<TaskJson | undefined> {
  const { title = null, description, status = null, priority = null, due_at } = changes
  return queue.run(call, operations.update, {
    ...keyOf(call, id),
    title,
    description: description ?? null,
    status,
    priority,
    due_at: due_at ?? null,
    description_given: description === undefined ? 0 : 1,
    due_at_given: due_at === undefined ? 0 : 1,
  })
}

/** True when there was such a task. */
export function deleteTask(queue: Queue, call: AccountCall, id: string): Promise<boolean> {
  return queue.run(call, operations.delete, keyOf(call, id))
}

/** Ids in lower case, as PostgreSQL writes them. */
function keyOf({ caller }: AccountCall, id: string): TaskKey {
  return { user_id: caller, id: id.toLowerCase() }
}

function rowOf({ user_id, id }: TaskKey): string {
  return user_id + id
}
