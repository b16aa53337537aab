// The guards of the pool: answers prove whose they are, sessions are settled, no read waits behind a write.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { wireClient } from '../../src/db/clients.ts'
import { newId } from '../../src/db/id.ts'
import { statementsOf } from '../../src/db/operation.ts'
import { openPool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import type { Open, PoolEvent, Sink } from '../../src/db/slot.ts'
import { operations } from '../../src/server/api/routes.ts'
import { createClient, eventually, register } from '../support/client.ts'
import { createDatabase, maintenanceUrl, type TestDatabase } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import { startService } from '../support/service.ts'
import { tasksOf } from '../support/tasks.ts'

const OWNER = '01a2024a-0000-7000-8000-000000000000'
const OTHER = '01a2024a-0000-7000-8000-000000000001'

let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
  for (const id of [OWNER, OTHER]) {
    await database.query(
      `insert into users (id, email, password_hash) values ('${id}', '${id}@example.com', 'x')`,
    )
  }
})

afterAll(() => database.drop())

describe('a connection that hands answers to the wrong calls', () => {
  /** Swaps the answers of each pair of statements that are sent one after the other, on the first connection. */
  function lyingClient(url: string): Open {
    const open = wireClient(readAddress(url), {
      statementTimeoutMs: 5000,
      connectTimeoutMs: 5000,
      applicationName: 'taskapi test',
      statements: statementsOf(operations),
    })
    let liars = 0
    return async (handlers) => {
      const connection = await open(handlers)
      liars += 1
      if (liars > 1) return connection
      let held: { run: (sink: Sink) => void; sink: Sink } | undefined
      return {
        get inFlight() {
          return connection.inFlight
        },
        query: (text) => connection.query(text),
        destroy: (error) => connection.destroy(error),
        end: () => connection.end(),
        execute: (statement, parameters, sink) => {
          const run = (to: Sink) => connection.execute(statement, parameters, to)
          if (!held) {
            held = { run, sink }
            return
          }
          const first = held
          held = undefined
          first.run(sink)
          run(first.sink)
        },
      }
    }
  }

  test('is destroyed, and no caller gets what is not theirs', async () => {
    const events: PoolEvent[] = []
    const pool = openPool({
      connections: 1,
      open: lyingClient(database.url),
      idlePingMs: 60_000,
      pingTimeoutMs: 1000,
      onEvent: (event) => events.push(event),
    })
    const honest = openTestPool(database.url)
    const writer = tasksOf(new Queue(honest, { batchCallsMax: 128, singlesMax: 64, callsMax: 100 }))
    const [mine, theirs] = [
      await writer.insert(OWNER, { title: 'mine' }),
      await writer.insert(OTHER, { title: 'theirs' }),
    ]
    // One statement per call, so that two are in flight at once.
    const tasks = tasksOf(new Queue(pool, { batchCallsMax: 1, singlesMax: 64, callsMax: 100 }))
    const found = await Promise.all([tasks.find(OWNER, mine.id), tasks.find(OTHER, theirs.id)])
    expect(found).toEqual([mine, theirs])
    expect(events.map(({ type }) => type)).toContain('mismatch')
    await pool.close(1000)
    await honest.close(1000)
  })
})

test('a read does not wait behind a write that waits for a lock', async () => {
  const pool = openTestPool(database.url, { connections: 3 })
  const tasks = tasksOf(new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 100 }))
  const { id } = await tasks.insert(OWNER, { title: 'before' })
  await database.query(`begin; select 1 from tasks where id = '${id}' for update`)
  const writing = tasks.update(OWNER, id, { title: 'after' })
  expect((await tasks.find(OWNER, id))?.title).toBe('before')
  expect((await tasks.insert(OWNER, { title: 'another' })).title).toBe('another')
  await database.query('commit')
  expect((await writing)?.title).toBe('after')
  await pool.close(1000)
})

test.each(['wire', 'postgres'])(
  'a pool of %s that closes while its connections are being opened comes to its end',
  async (client) => {
    for (let waitMs = 0; waitMs < 30; waitMs += 1) {
      const pool = openTestPool(database.url, { connections: 3, client })
      await new Promise((resolve) => setTimeout(resolve, waitMs))
      await pool.close(100)
    }
    await eventually('no connection', async () => {
      const [row] = await database.query<{ count: number }>(
        `select count(*)::int from pg_stat_activity
         where datname = current_database() and application_name = 'taskapi test'`,
      )
      return row?.count === 0
    })
  },
)

test('two listeners that change the same rows in other orders do not block each other for good', async () => {
  const pools = [openTestPool(database.url), openTestPool(database.url)]
  const clients = pools.map((pool) =>
    tasksOf(new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 9999 })),
  )
  const ids: string[] = []
  for (let count = 0; count < 40; count += 1) {
    const task = await clients[0]?.insert(OWNER, { title: 'contended' })
    ids.push(task?.id ?? '')
  }
  for (let round = 0; round < 20; round += 1) {
    const changes = clients.flatMap((tasks, index) =>
      (index === 0 ? ids : ids.toReversed()).map((id) =>
        tasks.update(OWNER, id, { title: `round ${round}` }),
      ),
    )
    const rows = await Promise.all(changes)
    expect(rows.every((row) => row?.title === `round ${round}`)).toBe(true)
  }
  for (const pool of pools) await pool.close(1000)
})

describe('settings of the database and of the role', () => {
  const HOSTILE = [
    `DateStyle = 'German'`,
    `IntervalStyle = 'sql_standard'`,
    `TimeZone = 'Asia/Tokyo'`,
    'default_transaction_isolation = serializable',
    'default_transaction_read_only = on',
    'standard_conforming_strings = off',
    'bytea_output = escape',
    'statement_timeout = 250',
    'transform_null_equals = on',
    'extra_float_digits = 0',
  ]

  test.each(['wire', 'postgres'])('change nothing that a client of %s reads', async (DB_CLIENT) => {
    const own = await createDatabase()
    const name = new URL(own.url).pathname.slice(1)
    for (const setting of HOSTILE) await own.query(`alter database ${name} set ${setting}`)
    const service = await startService(own.url, { DB_CLIENT })
    const client = createClient(service.url)
    const { token } = await register(client)
    const due_at = '2026-12-24T18:00:00.123456Z'
    const title = `it's "quoted" \\ 🦀`
    const { status, body } = await client.post('/api/v1/tasks', { title, due_at }, { token })
    expect(status).toBe(201)
    expect(body).toMatchObject({ title, due_at })
    const page = await client.get('/api/v1/tasks?limit=1', { token })
    expect(page.body).toEqual([body])
    const next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1] ?? ''
    expect((await client.get(`/api/v1/tasks${next}`, { token })).body).toEqual([])
    expect((await service.stop()).code).toBe(0)
    await own.drop()
  })

  test('an encoding that is not UTF-8 is named, and the listener is not ready', async () => {
    const name = `latin_${newId().replaceAll('-', '')}`
    const server = await createDatabase({ empty: true })
    await server.query(
      `create database ${name} template template0 encoding 'LATIN1' locale 'C' locale_provider libc`,
    )
    const url = new URL(maintenanceUrl())
    url.pathname = `/${name}`
    const events: PoolEvent[] = []
    const pool = openTestPool(url.href, { onEvent: (event) => events.push(event) })
    expect(await pool.start()).toBe(false)
    await eventually('the reason', () => events.length > 0)
    expect(events[0]).toMatchObject({ type: 'unreachable' })
    expect(String(events[0] && 'error' in events[0] && events[0].error)).toContain('LATIN1')
    await pool.close(0)
    await server.query(`drop database ${name} with (force)`)
    await server.drop()
  })
})
