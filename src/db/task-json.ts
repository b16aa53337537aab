// Runs in listeners. From the rows of tasks to the JSON that clients get; tasks.ts says which columns there are.
import type { Cursor } from './cursor.ts'
import type { Reading } from './operation.ts'
import { type Columns, isNull, JsonBuffer, membersWriter, readValue } from './row.ts'

/** The JSON of a `Task`. */
export type TaskJson = Buffer

/** A page as it is sent: the JSON of an array of `Task`, how many there are, and where the next page starts. */
export interface TaskList {
  json: Buffer
  count: number
  last: Cursor | undefined
}

// Type aliases, not interfaces: only aliases are assignable to the record of parameters.
export type TaskKey = { user_id: string; id: string }
export type Page = {
  user_id: string
  after_at: string
  after_id: string
  page_limit: number
  page_offset: number
}

/** Column 0 is the number of the call. The next is never null where there is a task: its title, or its id in a list. */
const FIRST_COLUMN = 1
const TASK_BYTES = 512
const LIST_BYTES = 8192
const FIRST_TASK = Buffer.from('{"id":')
const NEXT_TASK = Buffer.from(',{"id":')
const END = Buffer.from('}')
const scratch = new JsonBuffer(TASK_BYTES)

/** Reads one task, or nothing where the row only says that there is none. `columns` are those behind the key. */
export function taskReading(
  columns: Columns,
): Reading<TaskKey, TaskJson | undefined, TaskJson | undefined> {
  const members = membersWriter(columns)
  return {
    start: undefined,
    row: (_, bytes, fields, { id, user_id }) => {
      if (isNull(fields, FIRST_COLUMN)) return undefined
      scratch.length = 0
      scratch.ascii(`{"id":"${id}","user_id":"${user_id}"`)
      members.write(scratch, bytes, fields)
      scratch.append(END)
      return scratch.copy()
    },
    end: (json) => json,
  }
}

/** A page that is being read. */
export interface PageState {
  json: JsonBuffer
  /** Between the id of each task and its members. */
  owner: Buffer
  count: number
  last: Cursor | undefined
}

function startPage(userId: string): PageState {
  const json = new JsonBuffer(LIST_BYTES)
  json.ascii('[')
  const owner = Buffer.from(`,"user_id":"${userId}"`)
  return { json, owner, count: 0, last: undefined }
}

/** Reads a page of tasks. `columns` begin with the id, and have `created_at` among them. */
export function pageReading(columns: Columns): Reading<Page, PageState | undefined, TaskList> {
  const members = membersWriter(columns, 1)
  const createdAt = FIRST_COLUMN + Object.keys(columns).indexOf('created_at')
  const readCursor = (bytes: Buffer, fields: Int32Array): Cursor => ({
    created_at: String(readValue('timestamptz', bytes, fields, createdAt)),
    id: String(readValue('uuid', bytes, fields, FIRST_COLUMN)),
  })
  return {
    start: undefined,
    row: (before, bytes, fields, { user_id, page_limit }) => {
      const state = before ?? startPage(user_id)
      const { json } = state
      if (isNull(fields, FIRST_COLUMN)) return state
      json.append(state.count === 0 ? FIRST_TASK : NEXT_TASK)
      state.count += 1
      json.uuid(bytes, fields[2 * FIRST_COLUMN] as number)
      json.append(state.owner)
      members.write(json, bytes, fields)
      json.append(END)
      if (state.count === page_limit) state.last = readCursor(bytes, fields)
      return state
    },
    end: endPage,
  }
}

function endPage(state: PageState | undefined): TaskList {
  if (!state) throw new Error('A page has no row')
  const { json, count, last } = state
  json.ascii(']')
  return { json: json.bytes.subarray(0, json.length), count, last }
}

/** Whether there was such a row: its id comes back, or null. */
export const FOUND: Reading<TaskKey, boolean, boolean> = {
  start: false,
  row: (_, __, fields) => !isNull(fields, FIRST_COLUMN),
  end: (found) => found,
}
