// Rows become JSON byte for byte as JSON.stringify would write them.
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../../src/db/id.ts'
import { formatInstant } from '../../src/db/instant.ts'
import type { Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import { JsonBuffer } from '../../src/db/row.ts'
import { findTask, listTasks, PRIORITIES, TASK_STATUSES } from '../../src/db/tasks.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import { callOf } from '../support/tasks.ts'

const OWNER = '01a2024a-0000-7000-8000-000000000000'
const TIMEOUT_MS = 60_000

const text = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.string({ unit: fc.constantFrom('"', '\\', '\u0001', '\u001f', '\n', '\t', '\u007f', 'é') }),
    fc.string({ unit: fc.constantFrom('\u2028', '\u2029', '\ufffd', '🦀', '\u{10ffff}', ' ') }),
  )
  .map((value) => value.toWellFormed())

test('text: quotes, control characters and all planes of Unicode', () => {
  fc.assert(
    fc.property(text, fc.nat(5), (value, offset) => {
      const bytes = Buffer.concat([
        Buffer.alloc(offset, 0x22),
        Buffer.from(value),
        Buffer.from('"'),
      ])
      const json = new JsonBuffer(1)
      json.text(bytes, offset, bytes.length - offset - 1)
      expect(json.copy().toString()).toBe(JSON.stringify(value))
    }),
    { numRuns: 2000 },
  )
  for (let code = 1; code < 0x80; code += 1) {
    const json = new JsonBuffer(1)
    const value = String.fromCharCode(code)
    json.text(Buffer.from(value), 0, 1)
    expect(json.copy().toString()).toBe(JSON.stringify(value))
  }
})

let database: TestDatabase
let pool: Pool

beforeAll(async () => {
  database = await createDatabase()
  await database.query(
    `insert into users (id, email, password_hash) values ('${OWNER}', 'a@example.com', 'x')`,
  )
  pool = openTestPool(database.url)
})

afterAll(async () => {
  await pool.close(1000)
  await database.drop()
})

interface Row {
  id: string
  title: string
  description: string | null
  status: string
  priority: string
  due_at: string | null
  created_at: string
  updated_at: string
}

/** The task as it was before rows became JSON without objects. */
function expected({ id, ...row }: Row): string {
  const { title, description, status, priority } = row
  const [due_at, created_at, updated_at] = [row.due_at, row.created_at, row.updated_at].map(
    (time) => time && formatInstant(time),
  )
  const task = { id, user_id: OWNER, title, description, status, priority }
  return JSON.stringify({ ...task, due_at, created_at, updated_at })
}

const time = fc.integer({ min: -62_135_596_800, max: 253_402_300_798 }).chain((seconds) =>
  fc.nat(999_999).map((micros) => {
    const whole = new Date(seconds * 1000).toISOString().slice(0, 19)
    return `${whole}.${String(micros).padStart(6, '0')}Z`
  }),
)

const task = fc.record({
  title: text.filter((value) => value.length > 0 && value.length <= 200 && !value.includes('\0')),
  description: fc.option(text.filter((value) => !value.includes('\0'))),
  status: fc.constantFrom(...TASK_STATUSES),
  priority: fc.constantFrom(...PRIORITIES),
  due_at: fc.option(time),
  created_at: time,
})

test(
  'tasks: found and listed, with times from year 1 to 9999',
  async () => {
    const queue = new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 1000 })
    await fc.assert(
      fc.asyncProperty(fc.array(task, { minLength: 1, maxLength: 20 }), async (tasks) => {
        await database.query('delete from tasks')
        for (const { title, description, status, priority, due_at, created_at } of tasks) {
          await database.query(
            `insert into tasks (user_id, id, title, description, status, priority, due_at, created_at)
           select '${OWNER}', $1, $2, nullif($3, 'null'), $4, $5, nullif($6, 'null')::timestamptz, $7`,
            [newId(), title, description ?? 'null', status, priority, due_at ?? 'null', created_at],
          )
        }
        const rows = await database.query<Row>(
          `select id, title, description, status, priority, due_at::text, created_at::text,
           updated_at::text from tasks order by tasks.created_at desc, id desc`,
        )
        const list = await listTasks(queue, callOf(OWNER), { limit: 100, offset: 0 })
        expect(list.json.toString()).toBe(`[${rows.map(expected).join(',')}]`)
        const found = await Promise.all(rows.map(({ id }) => findTask(queue, callOf(OWNER), id)))
        expect(found.map(String)).toEqual(rows.map(expected))
      }),
      { numRuns: 40 },
    )
  },
  TIMEOUT_MS,
)
