// What may wait for PostgreSQL, for how long, and whose turn it is.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DatabaseOverloadedError } from '../../src/db/failures.ts'
import type { Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import {
  deleteTask,
  findTask,
  insertTask,
  listTasks,
  type TaskPage,
  updateTask,
} from '../../src/db/tasks.ts'
import { Turns } from '../../src/db/turns.ts'
import { findCredentials, insertUser } from '../../src/db/users.ts'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import { callOf } from '../support/tasks.ts'

const OWNER = '01a2024a-0000-7000-8000-000000000000'
const OTHER = '01a2024a-0000-7000-8000-000000000001'
const PAGE: TaskPage = { limit: 20, offset: 0 }

let database: TestDatabase
let pool: Pool

beforeAll(async () => {
  database = await createDatabase()
  for (const id of [OWNER, OTHER]) {
    await database.query(
      `insert into users (id, email, password_hash) values ('${id}', '${id}@example.com', 'x')`,
    )
  }
  pool = openTestPool(database.url, { connections: 2, statementTimeoutMs: 20_000 })
})

afterAll(async () => {
  await pool.close(1000)
  await database.drop()
})

/** Keeps every statement on both tables waiting until the returned function is called. */
async function lockTables(): Promise<() => Promise<unknown>> {
  await database.query('begin; lock table users, tasks in access exclusive mode')
  return () => database.query('commit')
}

describe('a queue that does not drain', () => {
  const LIMITS = { batchCallsMax: 128, singlesMax: 64, callsMax: 5000 }
  const find = (queue: Queue) => findTask(queue, callOf(randomUUID()), OTHER)

  test('turns further calls away at once, and none after it has drained', async () => {
    const queue = new Queue(pool, LIMITS)
    const unlock = await lockTables()
    const held = Array.from({ length: 1200 }, () => find(queue))
    const late = () => queue.isOverloaded('read')
    await eventually('reads to be late', () => Promise.resolve(late()))
    await expect(find(queue)).rejects.toThrow(DatabaseOverloadedError)
    await unlock()
    expect(await Promise.all(held)).toHaveLength(1200)
    expect(late()).toBe(false)
    expect(await find(queue)).toBeUndefined()
  })

  // Between the limits are a few milliseconds, which a machine that is busy otherwise may let pass between two looks.
  test('turns heavy calls away before writes, and writes before reads', { retry: 5 }, async () => {
    const queue = new Queue(pool, LIMITS)
    const unlock = await lockTables()
    const held = Array.from({ length: 1200 }, () => find(queue))
    const seen = new Set<string>()
    const deadline = performance.now() + 5000
    while (!queue.isOverloaded('read') && performance.now() < deadline) {
      const heavy = queue.isOverloaded('heavy') ? 'heavy' : ''
      seen.add(queue.isOverloaded('write') ? `${heavy} write` : heavy)
      await setImmediate()
    }
    const all = (['heavy', 'write', 'read'] as const).map((each) => queue.isOverloaded(each))
    await unlock()
    await Promise.all(held)
    expect([...seen]).toEqual(['', 'heavy', 'heavy write'])
    expect(all).toEqual([true, true, true])
  })

  test('lets an account in that has nothing waiting', async () => {
    const queue = new Queue(pool, LIMITS)
    const unlock = await lockTables()
    const flood = Array.from({ length: 200 }, () => findTask(queue, callOf(OWNER), OTHER))
    await eventually('reads to be late', () => Promise.resolve(queue.isOverloaded('read')))
    const again = findTask(queue, callOf(OWNER), OTHER)
    const other = findTask(queue, callOf(OTHER), OTHER)
    await expect(again).rejects.toThrow(DatabaseOverloadedError)
    await unlock()
    expect(await other).toBeUndefined()
    await Promise.all(flood)
  })

  test('takes a burst that is longer than a batch', async () => {
    const queue = new Queue(pool, LIMITS)
    const count = 5 * LIMITS.batchCallsMax
    const answers = await Promise.all(Array.from({ length: count }, () => find(queue)))
    expect(answers).toHaveLength(count)
  })
})

describe('the limit of a queue', () => {
  const CALLS_MAX = 30

  /** One call of each kind, of an account of its own. */
  const KINDS: ((queue: Queue, caller: string) => Promise<unknown>)[] = [
    (queue, caller) => findTask(queue, callOf(caller), OTHER),
    (queue, caller) => listTasks(queue, callOf(caller), PAGE),
    (queue, caller) => listTasks(queue, callOf(caller), { ...PAGE, status: 'done' }),
    (queue, caller) => insertTask(queue, callOf(caller), { title: 'x' }),
    (queue, caller) => updateTask(queue, callOf(caller), randomUUID(), { title: 'y' }),
    (queue, caller) => deleteTask(queue, callOf(caller), randomUUID()),
    (queue, caller) => findCredentials(queue, callOf(caller), 'nobody@example.com'),
    (queue, caller) =>
      insertUser(queue, callOf(caller), { email: `${caller}@example.org`, passwordHash: 'x' }),
  ]

  async function start(kind: number, queue: Queue): Promise<unknown> {
    return KINDS[kind]?.(queue, randomUUID())
  }

  test.each([
    ['batched', 128, 1],
    ['batched', 128, 3],
    ['batched', 128, KINDS.length],
    ['one statement per call', 1, KINDS.length],
  ])(
    'counts the calls of all kinds together: %s, %i, %i kinds',
    async (_, batchCallsMax, kinds) => {
      const queue = new Queue(pool, { batchCallsMax, singlesMax: 64, callsMax: CALLS_MAX })
      const unlock = await lockTables()
      const refused: unknown[] = []
      const calls = Array.from({ length: 10 * CALLS_MAX }, (__, index) =>
        start(index % kinds, queue).catch((error: Error) => refused.push(error.message)),
      )
      await eventually('the refusals', () => refused.length >= 9 * CALLS_MAX)
      // Nothing has been answered yet: what was not refused is held.
      expect(refused).toEqual(Array.from({ length: 9 * CALLS_MAX }, () => 'Too many calls wait'))
      await unlock()
      await Promise.all(calls)
      // All places are free again.
      const again = Array.from({ length: CALLS_MAX }, () => findTask(queue, callOf(OWNER), OTHER))
      expect((await Promise.allSettled(again)).map(({ status }) => status)).toContain('fulfilled')
    },
  )
})

describe('a call that nobody waits for any more', () => {
  test('is not sent: its client has gone', async () => {
    const queue = new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 100 })
    const { id } = await insertTask(queue, callOf(OWNER), { title: 'before' })
    const unlock = await lockTables()
    const first = updateTask(queue, callOf(OWNER), id, { description: 'sent' })
    const call = { ...callOf(OWNER), ended: false }
    const ghost = updateTask(queue, call, id, { title: 'ghost' })
    call.ended = true
    await unlock()
    await expect(ghost).rejects.toThrow('Waited too long for PostgreSQL')
    expect(JSON.parse(String(await first))).toMatchObject({ title: 'before', description: 'sent' })
    const found = await findTask(queue, callOf(OWNER), id)
    expect(JSON.parse(String(found))).toMatchObject({ title: 'before' })
  })

  test('gives its place to another', async () => {
    const queue = new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 3 })
    for (let round = 0; round < 5; round += 1) {
      const unlock = await lockTables()
      const calls = [10_000, 1, 1].map((waitMs) =>
        findTask(queue, callOf(OWNER, waitMs), OTHER).then(
          () => 'answered',
          (error: Error) => error.name,
        ),
      )
      await new Promise((resolve) => setTimeout(resolve, 20))
      await unlock()
      expect(await Promise.all(calls)).toEqual(['answered', 'CallExpiredError', 'CallExpiredError'])
    }
  })
})

test('a call knows how long it has waited until it was sent', async () => {
  const queue = new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 5000 })
  const [sent, waiting] = [callOf(OWNER), callOf(OWNER)]
  const unlock = await lockTables()
  const first = findTask(queue, sent, OTHER)
  const second = findTask(queue, waiting, OTHER)
  const heldMs = 100
  await delay(heldMs)
  await unlock()
  await Promise.all([first, second])
  expect(sent.queuedMs).toBeLessThan(heldMs)
  expect(waiting.queuedMs).toBeGreaterThanOrEqual(heldMs - 1)
})

test('a flood of lists lets the list of another account go before it', async () => {
  const queue = new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 1000 })
  const unlock = await lockTables()
  const order: string[] = []
  const flood = Array.from({ length: 300 }, (_, index) =>
    listTasks(queue, callOf(OWNER), PAGE).then(() => order.push(`flood ${index}`)),
  )
  const single = listTasks(queue, callOf(OTHER), PAGE).then(() => order.push('single'))
  await unlock()
  await Promise.all([...flood, single])
  // 64 are in flight when the single one comes; the next one or two are sent before its turn is.
  expect(order.indexOf('single')).toBeLessThan(70)
})

describe('turns', () => {
  interface Member {
    account: string
    row: string
    at: number
  }

  const members = fc.array(
    fc.record({ account: fc.constantFrom('a', 'b', 'c'), row: fc.constantFrom('1', '2', '3') }),
    { maxLength: 60 },
  )

  test('lose nobody, keep the order of each row, and put no row twice into a batch', () => {
    fc.assert(
      fc.property(members, fc.integer({ min: 1, max: 8 }), fc.nat(5), (arrivals, max, every) => {
        const turns = new Turns<Member>()
        const taken: Member[] = []
        const take = () => {
          const batch = turns.take(max)
          expect(batch.length).toBeLessThanOrEqual(max)
          expect(new Set(batch.map(({ row }) => row)).size).toBe(batch.length)
          taken.push(...batch)
          return batch.length
        }
        for (const [at, arrival] of arrivals.entries()) {
          turns.push({ ...arrival, row: arrival.account + arrival.row, at })
          if (every > 0 && at % every === 0) take()
        }
        while (turns.size > 0) expect(take()).toBeGreaterThan(0)
        expect(taken.map(({ at }) => at).sort((a, b) => a - b)).toEqual([...arrivals.keys()])
        for (const name of new Set(taken.map(({ row }) => row))) {
          const own = taken.filter(({ row }) => row === name).map(({ at }) => at)
          expect(own).toEqual([...own].sort((a, b) => a - b))
        }
      }),
    )
  })

  test('serve one call of each account before the second of any, when not all fit', () => {
    const turns = new Turns<Member>()
    const accounts = ['a', 'a', 'a', 'a', 'b', 'b', 'c']
    for (const [at, account] of accounts.entries()) turns.push({ account, row: '', at })
    const order = [turns.take(3), turns.take(3), turns.take(3)]
    expect(order.map((batch) => batch.map(({ account }) => account).join(''))).toEqual([
      'abc',
      'aba',
      'a',
    ])
    expect(turns.size).toBe(0)
  })
})
