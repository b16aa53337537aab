import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { arrayLiteral } from '../../src/db/arrays.ts'
import type { Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import type { Task, TaskChanges } from '../../src/db/tasks.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import { type Tasks, tasksOf } from '../support/tasks.ts'

const USERS = Array.from({ length: 4 }, (_, index) => `01a2024a-0000-7000-8000-00000000000${index}`)
const NOBODY = '01a2024a-0000-7000-8000-0000000000ff'
const RUNS = 60
const TIMEOUT_MS = 120_000

let database: TestDatabase
let db: Pool

beforeAll(async () => {
  database = await createDatabase()
  for (const id of USERS) {
    await database.query(
      `insert into users (id, email, password_hash) values ('${id}', '${id}@example.com', 'x')`,
    )
  }
  db = openTestPool(database.url, { connections: 2 })
})

afterAll(async () => {
  await db.close(1000)
  await database.drop()
})

function openTasks(on: Pool, batchCallsMax = 128, callsMax = 1000): Tasks {
  return tasksOf(new Queue(on, { batchCallsMax, singlesMax: 64, callsMax }))
}

type Operation =
  | { kind: 'insert'; title: string; description: string | null }
  | { kind: 'insert for nobody' }
  | { kind: 'update'; at: number; changes: TaskChanges }
  | {
      kind: 'find' | 'delete' | 'find as another' | 'update as another' | 'delete as another'
      at: number
    }

const text = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .map((value) => value.replaceAll('\0', ''))
const nullableText = fc.option(text)
const at = fc.nat(5)

const operation: fc.Arbitrary<Operation> = fc.oneof(
  // Titles may be empty: the database refuses them, and the neighbours in the batch must not notice.
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('insert'), title: text, description: nullableText }),
  },
  { weight: 1, arbitrary: fc.constant<Operation>({ kind: 'insert for nobody' }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('update'),
      at,
      changes: fc.record(
        {
          title: text,
          description: nullableText,
          status: fc.constantFrom('todo', 'in_progress', 'done', 'cancelled'),
          priority: fc.constantFrom('low', 'medium', 'high', 'critical'),
          due_at: fc.option(fc.constant('2026-12-24T18:00:00.123456Z')),
        },
        { requiredKeys: [] },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'find',
        'delete',
        'find as another',
        'update as another',
        'delete as another',
      ),
      at,
    }),
  },
) as fc.Arbitrary<Operation>

/** One client's view of its own tasks: what the service must agree with after each of its answers. */
class Model {
  readonly tasks: (Partial<Task> | undefined)[] = []

  slot(position: number): number {
    return this.tasks.length === 0 ? -1 : position % this.tasks.length
  }
}

/** Runs one client's operations, one after the other, and checks each answer against its model. */
async function runClient(
  tasks: Tasks,
  userId: string,
  operations: readonly Operation[],
): Promise<void> {
  const model = new Model()
  const ids: string[] = []
  const other = USERS[(USERS.indexOf(userId) + 1) % USERS.length] ?? ''
  for (const step of operations) {
    if (step.kind === 'insert for nobody') {
      await expect(tasks.insert(NOBODY, { title: 'x' })).rejects.toThrow('tasks_user_id_fkey')
    } else if (step.kind === 'insert') {
      const { title, description } = step
      const inserting = tasks.insert(userId, { title, description })
      if (title === '') {
        await expect(inserting).rejects.toThrow('tasks_title_length')
      } else {
        const row = await inserting
        expect(row).toMatchObject({ user_id: userId, title, description, status: 'todo' })
        ids.push(row.id)
        model.tasks.push(row)
      }
    } else {
      await runOnTask(tasks, userId, other, step, model, ids)
    }
  }
  for (const [slot, id] of ids.entries()) {
    const row = await tasks.find(userId, id)
    if (model.tasks[slot] === undefined) expect(row).toBeUndefined()
    else expect(row).toMatchObject(model.tasks[slot])
  }
}

async function runOnTask(
  tasks: Tasks,
  userId: string,
  other: string,
  step: Exclude<Operation, { kind: 'insert' | 'insert for nobody' }>,
  model: Model,
  ids: readonly string[],
): Promise<void> {
  const slot = model.slot(step.at)
  const id = ids[slot]
  if (id === undefined) return
  const known = model.tasks[slot]
  switch (step.kind) {
    case 'find': {
      const row = await tasks.find(userId, id)
      if (known) expect(row).toMatchObject(known)
      else expect(row).toBeUndefined()
      break
    }
    case 'update': {
      const updating = tasks.update(userId, id, step.changes)
      if (known && step.changes.title === '') {
        await expect(updating).rejects.toThrow('tasks_title_length')
        break
      }
      const row = await updating
      if (!known) {
        expect(row).toBeUndefined()
        break
      }
      const expected = { ...known, ...step.changes, updated_at: row?.updated_at ?? '' }
      expect(row).toEqual(expected)
      model.tasks[slot] = expected
      break
    }
    case 'delete':
      expect(await tasks.delete(userId, id)).toBe(known !== undefined)
      model.tasks[slot] = undefined
      break
    case 'find as another':
      expect(await tasks.find(other, id)).toBeUndefined()
      break
    case 'update as another':
      expect(await tasks.update(other, id, { title: 'stolen' })).toBeUndefined()
      break
    case 'delete as another':
      expect(await tasks.delete(other, id)).toBe(false)
      break
  }
}

describe.each([
  ['batched', 128],
  ['in batches of three', 3],
  ['one statement per call', 1],
])('random concurrent clients, %s', (_, callsMax) => {
  test(
    'get what the model says, whatever their neighbours do',
    async () => {
      const clients = fc.array(fc.array(operation, { minLength: 1, maxLength: 12 }), {
        minLength: 2,
        maxLength: 24,
      })
      await fc.assert(
        fc.asyncProperty(clients, async (scripts) => {
          const tasks = openTasks(db, callsMax)
          await Promise.all(
            scripts.map((script, index) =>
              runClient(tasks, USERS[index % USERS.length] ?? '', script),
            ),
          )
        }),
        { numRuns: RUNS },
      )
    },
    TIMEOUT_MS,
  )
})

test('two accounts that name one task in one batch each get their own answer', async () => {
  const tasks = openTasks(db)
  const [owner = '', stranger = ''] = USERS
  const { id } = await tasks.insert(owner, { title: 'mine' })
  const finds = await Promise.all([tasks.find(stranger, id), tasks.find(owner, id)])
  expect(finds.map((row) => row?.title)).toEqual([undefined, 'mine'])
  const updates = await Promise.all([
    tasks.update(stranger, id, { title: 'stolen' }),
    tasks.update(owner, id, { title: 'changed' }),
  ])
  expect(updates.map((row) => row?.title)).toEqual([undefined, 'changed'])
  const deletes = await Promise.all([tasks.delete(stranger, id), tasks.delete(owner, id)])
  expect(deletes).toEqual([false, true])
})

test('changes of one row are all applied, one after the other', async () => {
  const tasks = openTasks(db)
  const owner = USERS[0] ?? ''
  const { id } = await tasks.insert(owner, { title: 'start' })
  const rows = await Promise.all(
    Array.from({ length: 50 }, (_, index) => tasks.update(owner, id, { title: `title ${index}` })),
  )
  expect(rows.map((row) => row?.title)).toEqual(
    Array.from({ length: 50 }, (_, index) => `title ${index}`),
  )
  const times = rows.map((row) => row?.updated_at ?? '')
  expect(new Set(times).size).toBe(50)
})

test('a row that somebody else has locked holds up nobody but its own change', async () => {
  const impatient = openTestPool(database.url, { connections: 2, statementTimeoutMs: 600 })
  const tasks = openTasks(impatient)
  const owner = USERS[0] ?? ''
  const created = await Promise.all(
    Array.from({ length: 10 }, () => tasks.insert(owner, { title: 'x' })),
  )
  const locked = created[4]?.id ?? ''
  const holding = database.query(
    `begin; select 1 from tasks where id = '${locked}' for update; select pg_sleep(2); commit`,
  )
  await new Promise((resolve) => setTimeout(resolve, 200))
  const outcomes = await Promise.allSettled(
    created.map(({ id }) => tasks.update(owner, id, { status: 'done' })),
  )
  const failed = outcomes.flatMap((outcome, index) =>
    outcome.status === 'rejected' ? [index] : [],
  )
  expect(failed).toEqual([4])
  await holding
  await impatient.close(1000)
})

describe('calls that wait', () => {
  const QUEUE_MAX = 20
  let narrow: Pool

  beforeAll(() => {
    narrow = openTestPool(database.url, { connections: 1 })
  })

  afterAll(() => narrow.close(1000))

  /** How many of `count` reads of an account are turned away. */
  async function countRefused(tasks: Tasks, userId: string, count: number): Promise<number> {
    const reads = Array.from({ length: count }, () => tasks.find(userId, NOBODY))
    const outcomes = await Promise.allSettled(reads)
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    for (const outcome of refused) {
      expect(String(outcome.status === 'rejected' && outcome.reason)).toContain('Too many')
    }
    return refused.length
  }

  test('are limited, and an account alone can take half of them only', async () => {
    const tasks = openTasks(narrow, 128, QUEUE_MAX)
    const [flood, other, third] = await Promise.all([
      countRefused(tasks, USERS[0] ?? '', 50),
      countRefused(tasks, USERS[1] ?? '', 5),
      countRefused(tasks, USERS[2] ?? '', 20),
    ])
    // One goes out at once; ten may wait, of one account.
    expect(flood).toBe(50 - 1 - QUEUE_MAX / 2)
    expect(other).toBe(0)
    expect(third).toBeGreaterThan(0)
  })

  test('of a flood let the single call of another account into the next batch', async () => {
    const tasks = openTasks(db, 4)
    const order: string[] = []
    const flood = Array.from({ length: 40 }, (_, index) =>
      tasks.find(USERS[0] ?? '', NOBODY).then(() => order.push(`flood ${index}`)),
    )
    const single = tasks.find(USERS[1] ?? '', NOBODY).then(() => order.push('single'))
    await Promise.all([...flood, single])
    // The first call went out alone; the next batch takes four.
    expect(order.indexOf('single')).toBeLessThan(5)
  })

  test('are given up when nobody waits for them any more', async () => {
    const queue = new Queue(db, { batchCallsMax: 128, singlesMax: 64, callsMax: 1000 })
    const tasks = tasksOf(queue, 100)
    const owner = USERS[0] ?? ''
    const { id } = await tasks.insert(owner, { title: 'x' })
    const holding = database.query(
      `begin; select 1 from tasks where id = '${id}' for update; select pg_sleep(0.6); commit`,
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    const first = tasks.update(owner, id, { title: 'first' })
    const late = tasks.update(owner, id, { title: 'late' })
    await expect(late).rejects.toThrow('Waited too long')
    expect((await first)?.title).toBe('first')
    expect((await tasks.find(owner, id))?.title).toBe('first')
    await holding
  })
})

test.each([
  [['a', 'b'], '{"a","b"}'],
  [['a"b\\c', '', null, 'NULL'], '{"a\\"b\\\\c","",NULL,"NULL"}'],
  [['{},; \n', '🦀'], '{"{},; \n","🦀"}'],
])('arrays are written so that PostgreSQL reads them back: %j', async (values, literal) => {
  expect(arrayLiteral(values)).toBe(literal)
  const rows = await database.query<{ value: string | null }>(
    'select unnest($1::text[]) as value',
    [literal],
  )
  expect(rows.map(({ value }) => value)).toEqual(values)
})
