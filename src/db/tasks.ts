// Runs in listeners. The operations on tasks; each carries user_id, so "not yours" equals "not found".
import type { Cursor } from './cursor.ts'
import { newId } from './id.ts'
import { batched, type Operation, type PositionedRow, type SqlType, single } from './operation.ts'
import type { AccountCall, Queue } from './queue.ts'

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

/** A page as it is sent: the JSON of an array of `Task`, how many there are, and where the next page starts. */
export interface TaskList {
  json: string
  count: number
  last: Cursor | undefined
}

/** The columns of a task that are not in its key, which the caller knows. */
type TaskRow = Omit<Task, 'id' | 'user_id'>
type ListedRow = Omit<Task, 'user_id'>

const KEY = { user_id: 'uuid', id: 'uuid' } as const
const FIELDS = {
  title: 'text',
  description: 'text',
  status: 'task_status',
  priority: 'priority',
  due_at: 'timestamptz',
} as const satisfies Record<keyof TaskFields, SqlType>
const COLUMNS = [...Object.keys(FIELDS), 'created_at', 'updated_at']
  .map((name) => `t.${name}`)
  .join(', ')

const BY_KEY = { index: 'tasks_pkey', by: ['user_id', 'id'] }
const PAGE_BY = ['user_id', 'ROW(created_at, id)']
const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

// Type aliases, not interfaces: only aliases are assignable to the record of parameters.
type TaskKey = { user_id: string; id: string }
type Page = {
  user_id: string
  after_at: string
  after_id: string
  page_limit: number
  page_offset: number
}
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

/** Numbers, because the driver can turn a true parameter into false when it retries (#1197). */
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

const operations = {
  find: batched({
    name: 'find_task',
    parameters: KEY,
    lookup: BY_KEY,
    text: `select input.n, ${COLUMNS} from input join tasks t on t.user_id = input.user_id and t.id = input.id`,
    read: firstTask,
  }),
  // Without batches: a list costs so much more than what a batch saves that batches of lists were slower.
  list: single({
    name: 'list_tasks',
    parameters: PAGE,
    lookup: { index: 'tasks_newest_idx', by: PAGE_BY },
    text: ({ user_id, after_at, after_id, page_limit, page_offset }) => `
      select t.id, ${COLUMNS} from tasks t where t.user_id = ${user_id}
      and (t.created_at, t.id) < (${after_at}, ${after_id})
      order by t.created_at desc, t.id desc limit ${page_limit} offset ${page_offset}`,
    read: readPage,
  }),
  listByStatus: single({
    name: 'list_tasks_by_status',
    parameters: { ...PAGE, status: FIELDS.status },
    lookup: { index: 'tasks_status_newest_idx', by: [...PAGE_BY, 'status'] },
    text: ({ user_id, after_at, after_id, page_limit, page_offset, status }) => `
      select t.id, ${COLUMNS} from tasks t where t.user_id = ${user_id} and t.status = ${status}
      and (t.created_at, t.id) < (${after_at}, ${after_id})
      order by t.created_at desc, t.id desc limit ${page_limit} offset ${page_offset}`,
    read: (rows: readonly ListedRow[], input: Page & { status: TaskStatus }) =>
      readPage(rows, input),
  }),
  insert: batched({
    name: 'insert_task',
    parameters: {
      ...KEY,
      title: FIELDS.title,
      description: FIELDS.description,
      priority: FIELDS.priority,
      due_at: FIELDS.due_at,
    } satisfies Record<keyof Insertion, SqlType>,
    violations: { tasks_user_id_fkey: 'account_gone' },
    text: ({ names, positionOf }) => `
      insert into tasks as t (${names}) select ${names} from input
      returning ${positionOf('id', 't.id')} as n, ${COLUMNS}`,
    read: (rows: readonly (TaskRow & PositionedRow)[], input: Insertion) => {
      const task = firstTask(rows, input)
      if (!task) throw new Error('PostgreSQL returned no row for an insert')
      return task
    },
  }),
  update: batched({
    name: 'update_task',
    parameters: { ...KEY, ...FIELDS, ...GIVEN } satisfies Record<keyof Update, SqlType>,
    lookup: BY_KEY,
    text: `
      update tasks t set ${CHANGES}
      from input where t.user_id = input.user_id and t.id = input.id
      returning input.n, ${COLUMNS}`,
    rowOf,
    read: (rows: readonly (TaskRow & PositionedRow)[], input: Update) => firstTask(rows, input),
  }),
  delete: batched({
    name: 'delete_task',
    parameters: KEY,
    lookup: BY_KEY,
    text: `
      delete from tasks t using input where t.user_id = input.user_id and t.id = input.id
      returning input.n`,
    rowOf,
    read: (rows: readonly PositionedRow[]) => rows.length > 0,
  }),
}

/** Every operation on tasks, for whoever prepares or tests them all. */
export const taskOperations: readonly Operation<never>[] = Object.values(operations)

export function findTask(queue: Queue, call: AccountCall, id: string): Promise<Task | undefined> {
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

/** Rejects with the violation `account_gone` when the caller's account was deleted. */
export function insertTask(queue: Queue, call: AccountCall, task: NewTask): Promise<Task> {
  const { title, description = null, priority = 'medium', due_at = null } = task
  const input = { user_id: call.caller, id: newId(), title, description, priority, due_at }
  return queue.run(call, operations.insert, input)
}

export function updateTask(
  queue: Queue,
  call: AccountCall,
  id: string,
  changes: TaskChanges,
): Promise<Task | undefined> {
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

function firstTask([row]: readonly TaskRow[], { id, user_id }: TaskKey): Task | undefined {
  return row && toTask(id, user_id, row)
}

/**
 * The page as text at once: what a promise resolves with stays in memory until a major collection, dead or not, and one
 * string is less to keep than a hundred and sixty. Letting PostgreSQL write the JSON was measured: it took 59 us more of
 * PostgreSQL for twenty tasks, and saved less than that here.
 */
function readPage(rows: readonly ListedRow[], { user_id }: Page): TaskList {
  const last = rows.at(-1)
  return {
    json: JSON.stringify(rows.map((row) => toTask(row.id, user_id, row))),
    count: rows.length,
    last: last && { created_at: last.created_at, id: last.id },
  }
}

function toTask(id: string, user_id: string, row: TaskRow): Task {
  const { title, description, status, priority, due_at, created_at, updated_at } = row
  return { id, user_id, title, description, status, priority, due_at, created_at, updated_at }
}
