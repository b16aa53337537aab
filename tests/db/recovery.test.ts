// What the pool does with connections that end at the wrong moment, and with calls that nobody waits for any more.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { driverClient, wireClient } from '../../src/db/clients.ts'
import { statementsOf } from '../../src/db/operation.ts'
import { openPool, type Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import type { Open, PoolConnection, PoolEvent } from '../../src/db/slot.ts'
import { insertTask, updateTask } from '../../src/db/tasks.ts'
import { ConnectionError } from '../../src/db/wire/error.ts'
import { operations } from '../../src/server/api/routes.ts'
import { openProxy } from '../faults/proxy.ts'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { isUsable, openTestPool } from '../support/pool.ts'
import { callOf, tasksOf } from '../support/tasks.ts'

const OWNER = '01a2024a-0000-7000-8000-000000000000'
const LIMITS = { batchCallsMax: 128, singlesMax: 64, callsMax: 100 }
const STATEMENT_TIMEOUT_MS = 5000

let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
  await database.query(
    `insert into users (id, email, password_hash) values ('${OWNER}', 'owner@example.com', 'x')`,
  )
})

afterAll(() => database.drop())

function clientOf(name: string, url: string): Open {
  const options = {
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    connectTimeoutMs: 5000,
    applicationName: 'taskapi test',
    statements: statementsOf(operations),
  }
  const address = readAddress(url)
  return name === 'wire' ? wireClient(address, options) : driverClient(address, options)
}

test('a statement that nobody waits for any more ends at the timeout, and its connection goes on', async () => {
  const pool = openTestPool(database.url, { connections: 3, statementTimeoutMs: 600 })
  const queue = new Queue(pool, LIMITS)
  const tasks = tasksOf(queue)
  const [locked, free] = [
    await tasks.insert(OWNER, { title: 'locked' }),
    await tasks.insert(OWNER, { title: 'free' }),
  ]
  await database.query(`begin; select 1 from tasks where id = '${locked.id}' for update`)
  const call = { ...callOf(OWNER, 100), ended: false }
  const given = updateTask(queue, call, locked.id, { title: 'given up' })
  // A call that is over before it was sent would never be sent at all.
  await eventually('the statement waits for the lock', async () => {
    const blocked = await database.query(
      'select 1 from pg_locks where not granted and transactionid = pg_current_xact_id()::xid',
    )
    return blocked.length > 0
  })
  call.ended = true
  // There is one connection for changes: this one comes behind it.
  const next = tasks.update(OWNER, free.id, { title: 'served' })
  await expect(given).rejects.toMatchObject({ code: expect.stringMatching(/55P03|57014/) })
  expect((await next)?.title).toBe('served')
  await database.query('commit')
  expect((await tasks.find(OWNER, locked.id))?.title).toBe('locked')
  await pool.close(1000)
})

function poolOf(open: Open, connections = 1): { pool: Pool; events: PoolEvent[] } {
  const events: PoolEvent[] = []
  const onEvent = (event: PoolEvent) => events.push(event)
  const pool = openPool({ connections, open, idlePingMs: 60_000, pingTimeoutMs: 1000, onEvent })
  return { pool, events }
}

/** Changes what a connection does to the statements that it gets. */
function altered(open: Open, alter: (connection: PoolConnection) => PoolConnection): Open {
  return async (handlers) => alter(await open(handlers))
}

function titles(): Promise<string[]> {
  return database
    .query<{ title: string }>('select title from tasks order by id')
    .then((rows) => rows.map(({ title }) => title))
}

describe('a write that nobody waits for any more is never sent', () => {
  test('when its client goes while it waits for a connection', async () => {
    const gate = Promise.withResolvers<void>()
    const open = clientOf('wire', database.url)
    const { pool } = poolOf(async (handlers) => {
      await gate.promise
      return open(handlers)
    })
    const queue = new Queue(pool, LIMITS)
    const call = { ...callOf(OWNER), ended: false }
    const ghost = insertTask(queue, call, { title: 'ghost of a client' })
    call.ended = true
    gate.resolve()
    await expect(ghost).rejects.toThrow('Waited too long')
    expect((await tasksOf(queue).insert(OWNER, { title: 'seen' })).title).toBe('seen')
    expect(await titles()).not.toContain('ghost of a client')
    await pool.close(1000)
  })

  test('when its deadline passes while another call of its batch waits for a connection', async () => {
    let lose: ((error: Error) => void) | undefined
    const gate = Promise.withResolvers<void>()
    const open = clientOf('wire', database.url)
    let opened = 0
    const { pool } = poolOf(async (handlers) => {
      opened += 1
      if (opened > 1) await gate.promise
      const connection = await open(handlers)
      lose = (error) => connection.destroy(error)
      return connection
    })
    await pool.start()
    const queue = new Queue(pool, LIMITS)
    // The first goes out alone and the others behind it together; what comes after a batch is a batch, too.
    await Promise.all([1, 2, 3].map(() => insertTask(queue, callOf(OWNER), { title: 'before' })))
    lose?.(new ConnectionError('CONNECTION_CLOSED', 'Lost for the test'))
    const late = insertTask(queue, callOf(OWNER, 50), { title: 'ghost of a deadline' })
    const patient = insertTask(queue, callOf(OWNER), { title: 'patient' })
    await delay(150)
    gate.resolve()
    await expect(late).rejects.toThrow('Waited too long')
    expect(JSON.parse(String((await patient).json))).toMatchObject({ title: 'patient' })
    expect(await titles()).not.toContain('ghost of a deadline')
    await pool.close(1000)
  })

  test('when its client goes between two runs of its batch', async () => {
    const call = { ...callOf(OWNER), ended: false }
    let conflicting = false
    let conflicts = 0
    const { pool } = poolOf(
      altered(clientOf('wire', database.url), (connection) => ({
        get inFlight() {
          return connection.inFlight
        },
        query: (text) => connection.query(text),
        destroy: (error) => connection.destroy(error),
        end: () => connection.end(),
        execute: (statement, parameters, sink) => {
          if (statement.name !== 'update_task_many' || !conflicting) {
            connection.execute(statement, parameters, sink)
            return
          }
          conflicting = false
          conflicts += 1
          call.ended = true
          const error = Object.assign(new Error('deadlock'), { name: 'PostgresError' })
          sink.failed(Object.assign(error, { code: '40P01' }), true)
        },
      })),
    )
    const queue = new Queue(pool, LIMITS)
    const tasks = tasksOf(queue)
    const made = await Promise.all([1, 2, 3].map(() => tasks.insert(OWNER, { title: 'old' })))
    const ids = made.map(({ id }) => id)
    await Promise.all(ids.map((id) => tasks.update(OWNER, id, { title: 'older' })))
    conflicting = true
    const ghost = updateTask(queue, call, ids[0] ?? '', { title: 'ghost of a conflict' })
    const other = tasks.update(OWNER, ids[1] ?? '', { title: 'new' })
    await expect(ghost).rejects.toThrow('Waited too long')
    expect((await other)?.title).toBe('new')
    expect(conflicts).toBe(1)
    expect(await titles()).not.toContain('ghost of a conflict')
    await pool.close(1000)
  })
})

describe('connections that end at the wrong moment', () => {
  test.each(['wire', 'postgres'])(
    'a pool over %s closes in time while the server is silent before all is prepared',
    async (name) => {
      const proxy = await openProxy(database.url)
      const open = clientOf(name, proxy.url)
      const warming = Promise.withResolvers<void>()
      const { pool } = poolOf((handlers) =>
        open({
          ...handlers,
          onWarming: () => {
            handlers.onWarming()
            proxy.set('swallow')
            warming.resolve()
          },
        }),
      )
      await warming.promise
      const closed = pool.close(0).then(() => 'closed')
      expect(await Promise.race([closed, delay(STATEMENT_TIMEOUT_MS / 2)])).toBe('closed')
      await proxy.close()
    },
  )

  test.each(['wire', 'postgres'])(
    'a pool over %s is ready at last, when the server was silent before all was prepared',
    async (name) => {
      const proxy = await openProxy(database.url)
      const open = clientOf(name, proxy.url)
      let silent = 0
      const { pool } = poolOf((handlers) =>
        open({
          ...handlers,
          onWarming: () => {
            handlers.onWarming()
            silent += 1
            proxy.set(silent === 1 ? 'swallow' : 'pass')
            if (silent === 1) setTimeout(() => proxy.set('pass'), 100)
          },
        }),
      )
      await eventually('readiness', () => isUsable(pool), 15_000)
      await pool.close(1000)
      await proxy.close()
    },
    20_000,
  )

  test('a pool closes although a connection is opened just then', async () => {
    const open = clientOf('wire', database.url)
    const gate = Promise.withResolvers<void>()
    const { pool } = poolOf(async (handlers) => {
      const connection = await open(handlers)
      await gate.promise
      return connection
    })
    await delay(200)
    const closed = pool.close(0).then(() => 'closed')
    await delay(50)
    gate.resolve()
    expect(await Promise.race([closed, delay(2000)])).toBe('closed')
  })

  test('one that ends together with the answer that makes it ready is never used', async () => {
    const open = clientOf('wire', database.url)
    let opened = 0
    const { pool } = poolOf(async (handlers) => {
      const connection = await open(handlers)
      opened += 1
      if (opened > 1) return connection
      connection.destroy(new ConnectionError('CONNECTION_CLOSED', 'Ended with its last answer'))
      return {
        ...connection,
        inFlight: 0,
        execute: () => expect.unreachable('A connection that has ended was used'),
      }
    })
    const tasks = tasksOf(new Queue(pool, LIMITS))
    expect((await tasks.insert(OWNER, { title: 'at last' })).title).toBe('at last')
    expect(opened).toBe(2)
    await pool.close(1000)
  })

  test('a server that answers once and hangs up is not asked for connections without end', async () => {
    const open = clientOf('wire', database.url)
    let opened = 0
    const { pool } = poolOf(
      altered(open, (connection) => {
        opened += 1
        return {
          get inFlight() {
            return connection.inFlight
          },
          query: (text) => connection.query(text),
          destroy: (error) => connection.destroy(error),
          end: () => connection.end(),
          execute: (statement, parameters, sink) =>
            connection.execute(statement, parameters, {
              ...sink,
              row: (bytes, fields) => sink.row(bytes, fields),
              done: () => {
                sink.done()
                connection.destroy(new ConnectionError('CONNECTION_CLOSED', 'Hung up'))
              },
            }),
        }
      }),
    )
    const tasks = tasksOf(new Queue(pool, LIMITS))
    const until = performance.now() + 3000
    let answered = 0
    while (performance.now() < until) {
      const outcome = await tasks.find(OWNER, OWNER).then(
        () => 1,
        () => 0,
      )
      answered += outcome
    }
    expect(answered).toBeGreaterThan(3)
    // Three waits that double, from 150 ms on, take longer than a second; then there is one a second at most.
    expect(opened).toBeLessThan(12)
    await pool.close(1000)
  })
})
