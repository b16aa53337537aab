// Every batched operation of the service, against itself one call at a time: nobody can tell by the results.
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Input, Operation, Parameter, SqlType } from '../../src/db/operation.ts'
import type { Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import { operations } from '../../src/server/api/routes.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import { callOf } from '../support/tasks.ts'

const RUNS = 40
const TIMEOUT_MS = 120_000
const USERS = ['01a2024a-0000-7000-8000-000000000000', '01a2024a-0000-7000-8000-000000000001']
const NOBODY = '01a2024a-0000-7000-8000-0000000000ff'
const TASKS = Array.from({ length: 6 }, (_, index) => `01a2024b-0000-7000-8000-00000000000${index}`)
/** Later than any time that is generated, earlier than any that PostgreSQL makes. */
const LATEST = '2020-01-01'

interface Side {
  database: TestDatabase
  pool: Pool
  queue: Queue
}

let batched: Side
let alone: Side

beforeAll(async () => {
  batched = await open(128)
  alone = await open(1)
})

afterAll(async () => {
  for (const { pool, database } of [batched, alone]) {
    await pool.close(1000)
    await database.drop()
  }
})

async function open(batchCallsMax: number): Promise<Side> {
  const database = await createDatabase()
  for (const id of USERS) {
    await database.query(
      `insert into users (id, email, password_hash) values ('${id}', '${id}@example.com', 'x')`,
    )
  }
  // One connection, so that single calls are run in the order in which they are made.
  const pool = openTestPool(database.url, { connections: 1 })
  return {
    database,
    pool,
    queue: new Queue(pool, { batchCallsMax, singlesMax: 64, callsMax: 1000 }),
  }
}

const text = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom('', 'NULL', '{"a",b}', '\\', '"', "'"),
  )
  .map((value) => value.replaceAll('\0', '').toWellFormed())

const VALUES: Record<SqlType, fc.Arbitrary<Parameter>> = {
  uuid: fc.constantFrom(...TASKS),
  text: fc.option(text, { freq: 6 }),
  int: fc.constantFrom(0, 1),
  timestamptz: fc.option(
    fc
      .date({
        min: new Date('0001-01-02Z'),
        max: new Date(`${LATEST}Z`),
        noInvalidDate: true,
      })
      .map((date) => date.toISOString()),
  ),
  task_status: fc.constantFrom(null, 'todo', 'in_progress', 'done', 'cancelled'),
  priority: fc.constantFrom(null, 'low', 'medium', 'high', 'critical'),
}

/** Random values for every parameter that the operation declares. */
function inputOf({ parameters }: Operation<never>): fc.Arbitrary<Input> {
  const values = Object.entries(parameters).map(([name, type]) => [
    name,
    name === 'user_id' ? fc.constantFrom(...USERS, NOBODY) : VALUES[type],
  ])
  return fc.record(Object.fromEntries(values)) as fc.Arbitrary<Input>
}

/** The same tasks on both sides: the first half of `TASKS`, in turns of the accounts. */
async function restore({ database }: Side): Promise<void> {
  await database.query('delete from tasks')
  for (const [index, id] of TASKS.slice(0, TASKS.length / 2).entries()) {
    await database.query(
      `insert into tasks (user_id, id, title, description, due_at)
       values ('${USERS[index % USERS.length]}', '${id}', 'title ${index}', 'text', '2001-02-03Z')`,
    )
  }
}

/** What each call got, with times that PostgreSQL has made replaced by a word. */
async function run(
  { queue }: Side,
  operation: Operation<never>,
  inputs: readonly Input[],
): Promise<unknown[]> {
  const calls = inputs.map((input) =>
    queue.run(callOf(String(input.user_id)), operation as unknown as Operation, input).then(
      (result) => ({ result }),
      (error: Error) => ({ error: error.message }),
    ),
  )
  // A Buffer is the JSON of a task.
  const outcomes = JSON.stringify(await Promise.all(calls), (_, value) =>
    value?.type === 'Buffer' ? JSON.parse(Buffer.from(value.data).toString()) : value,
  )
  return JSON.parse(outcomes, (name, value) =>
    ['created_at', 'updated_at'].includes(name) && value > LATEST ? 'now' : value,
  )
}

async function rowsOf({ database }: Side): Promise<unknown[]> {
  return database.query(
    'select user_id, id, title, description, status, priority, due_at from tasks order by 1, 2',
  )
}

test.each(
  operations
    .filter(({ many }) => many)
    .map((operation): [string, Operation<never>] => [operation.name, operation]),
)(
  '%s: calls that share a statement get what each gets alone',
  async (_, operation) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(inputOf(operation), { minLength: 2, maxLength: 20 }),
        async (inputs) => {
          await Promise.all([restore(batched), restore(alone)])
          const together = await run(batched, operation, inputs)
          const one = await run(alone, operation, inputs)
          expect(together).toEqual(one)
          expect(await rowsOf(batched)).toEqual(await rowsOf(alone))
        },
      ),
      { numRuns: RUNS },
    )
  },
  TIMEOUT_MS,
)
