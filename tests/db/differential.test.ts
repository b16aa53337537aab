// The two clients under the same pool give the same answers, byte for byte, and refuse the same calls.
import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { classify } from '../../src/db/failures.ts'
import type { Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import {
  deleteTask,
  findTask,
  insertTask,
  listTasks,
  PRIORITIES,
  TASK_STATUSES,
  updateTask,
} from '../../src/db/tasks.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import { callOf } from '../support/tasks.ts'

const OWNER = '01a2024a-0000-7000-8000-000000000000'
const CLIENTS = ['wire', 'postgres'] as const
const TIMEOUT_MS = 60_000
const RUNS = 100

let database: TestDatabase
let pools: Pool[]
let queues: Queue[]

beforeAll(async () => {
  database = await createDatabase()
  await database.query(
    `insert into users (id, email, password_hash) values ('${OWNER}', 'a@example.com', 'x')`,
  )
  pools = CLIENTS.map((client) => openTestPool(database.url, { client }))
  queues = pools.map(
    (pool) => new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 1000 }),
  )
})

afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.close(1000)))
  await database.drop()
})

/** Some fit, some are refused by the schema, and half surrogates and NULs by the protocol or the server. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 210 }),
  fc.string({
    unit: fc.constantFrom('"', '\\', '\u0001', '\u001f', '\n', '\u007f', '\u2028', '🦀'),
  }),
  fc.constantFrom('', 'NULL', 'null', '{}', '{"a",NULL}', '\\x41', "'", '\0', 'x\0', '\ud800'),
  fc.constantFrom(201, 2000, 2001, 65_536).map((length) => 'ü'.repeat(length)),
)
const time = fc.oneof(
  fc.constantFrom(
    '0001-01-01T00:00:00.000000Z',
    '9999-12-31T23:59:59.999999Z',
    '1999-12-31T23:59:59.999999Z',
    '2000-01-01T00:00:00.000000Z',
    '2000-01-01T00:00:00.000001Z',
    '2026-11-25T10:00:00.500000Z',
  ),
  fc
    .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString().replace('Z', '123Z')),
)
const fields = fc.record({
  title: text,
  description: fc.option(text),
  priority: fc.constantFrom(...PRIORITIES),
  due_at: fc.option(time),
})
const changes = fc.record(
  {
    title: text,
    description: fc.option(text),
    status: fc.constantFrom(...TASK_STATUSES),
    due_at: fc.option(time),
  },
  { requiredKeys: [] },
)

/** What a call has come to: its bytes, or what its failure means. */
async function outcome(answer: Promise<Buffer | boolean | undefined>): Promise<string> {
  return answer.then(String, (error: unknown) => `refused: ${classify(error)}`)
}

/** Ids, and times that the server made, differ from call to call. */
function withoutNews(json: string): string {
  return json.replaceAll(/"(?:id|created_at|updated_at)":"[^"]*"/g, '')
}

test(
  'random tasks: inserted, changed, found, listed and deleted',
  async () => {
    let written = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fields, changes), { minLength: 1, maxLength: 20 }),
        async (calls) => {
          await database.query('delete from tasks')
          const inserted = await Promise.all(
            queues.map((queue) =>
              Promise.all(
                calls.map(([task]) => {
                  const row = insertTask(queue, callOf(OWNER), task)
                  const id = row.then((made) => made.id).catch(() => randomUUID())
                  return Promise.all([id, outcome(row.then(({ json }) => json))])
                }),
              ),
            ),
          )
          const [mine = [], theirs = []] = inserted
          const made = inserted.map((rows) => rows.map(([, json]) => withoutNews(json)))
          expect(made[0]).toEqual(made[1])
          written += mine.filter(([, json]) => json.startsWith('{')).length

          const changed = await Promise.all(
            queues.map((queue, side) =>
              Promise.all(
                calls.map(([, change], index) => {
                  const [id] = (side === 0 ? mine : theirs)[index] ?? ['']
                  return outcome(updateTask(queue, callOf(OWNER), id, change))
                }),
              ),
            ),
          )
          expect(changed[0]?.map(withoutNews)).toEqual(changed[1]?.map(withoutNews))

          // The same rows through each client, whole.
          const ids = [...mine, ...theirs].map(([id]) => id)
          const [found, list] = await Promise.all([
            Promise.all(
              queues.map((queue) =>
                Promise.all(ids.map((id) => outcome(findTask(queue, callOf(OWNER), id)))),
              ),
            ),
            Promise.all(
              queues.map(async (queue) => {
                const page = await listTasks(queue, callOf(OWNER), { limit: 100, offset: 0 })
                return { ...page, json: page.json.toString() }
              }),
            ),
          ])
          expect(found[0]).toEqual(found[1])
          expect(list[0]).toEqual(list[1])

          const gone = await Promise.all(
            queues.map((queue, side) =>
              Promise.all(
                (side === 0 ? mine : theirs).map(([id]) =>
                  outcome(deleteTask(queue, callOf(OWNER), id)),
                ),
              ),
            ),
          )
          expect(gone[0]).toEqual(gone[1])
        },
      ),
      { numRuns: RUNS },
    )
    expect(written).toBeGreaterThan(RUNS)
  },
  TIMEOUT_MS,
)
