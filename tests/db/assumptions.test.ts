// What docs/database.md assumes, broken one by one: the answers stay right, or the refusal names what is wrong. Settings
// of a database and LATIN1 are in pool.test.ts, locales in locale.test.ts, changes under load in tests/faults.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { PoolEvent } from '../../src/db/slot.ts'
import { createClient, eventually, register } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import { startService } from '../support/service.ts'
import { codeOf, open } from '../wire/conversations.ts'

const ROLE_SETTINGS = [
  `DateStyle = 'SQL, DMY'`,
  `IntervalStyle = 'iso_8601'`,
  `TimeZone = 'America/St_Johns'`,
  'default_transaction_read_only = on',
  'standard_conforming_strings = off',
  'transform_null_equals = on',
  'row_security = off',
  'array_nulls = off',
  `client_encoding = 'LATIN1'`,
  `lc_messages = 'C'`,
  'idle_session_timeout = 3000',
]

let database: TestDatabase
let name: string

async function use(created: Promise<TestDatabase>): Promise<void> {
  database = await created
  name = new URL(database.url).pathname.slice(1)
}

/** Why a pool cannot use the database. */
async function refusal(client: string): Promise<string> {
  const events: PoolEvent[] = []
  const pool = openTestPool(database.url, { client, onEvent: (event) => events.push(event) })
  expect(await pool.start()).toBe(false)
  await eventually('the reason', () => events.length > 0)
  await pool.close(0)
  const [event] = events
  return String(event && 'error' in event && event.error)
}

/** Creates, changes, lists and deletes tasks, alone and as parts of a batch; every answer must be right. */
async function serves(DB_CLIENT: string, pauseMs = 0): Promise<void> {
  const service = await startService(database.url, { DB_CLIENT })
  const client = createClient(service.url)
  const { id: user_id, token, email, password } = await register(client)
  expect((await client.post('/api/v1/auth/login', { email, password })).status).toBe(200)
  const due_at = '2026-02-03T04:05:06.123456Z'
  const titles = Array.from({ length: 40 }, (_, index) => `it's é \\ 🦀 ${index}`)
  const created = await Promise.all(
    titles.map((title) =>
      client.post('/api/v1/tasks', { title, due_at, priority: 'low' }, { token }),
    ),
  )
  for (const [index, { status, body }] of created.entries()) {
    expect(status).toBe(201)
    expect(body).toMatchObject({ user_id, title: titles[index], due_at, description: null })
    expect(body.id).toBe(String(body.id).toLowerCase())
  }
  await delay(pauseMs)
  const found = await Promise.all(
    created.map(({ body }) =>
      client.get(`/api/v1/tasks/${String(body.id).toUpperCase()}`, { token }),
    ),
  )
  expect(found.map(({ body }) => body)).toEqual(created.map(({ body }) => body))
  const listed = await client.get('/api/v1/tasks?limit=3', { token })
  expect(listed.body).toHaveLength(3)
  expect((await service.stop()).code).toBe(0)
}

describe.each(['wire', 'postgres'])('through %s', (client) => {
  afterEach(() => database.drop())

  test('settings of the role change nothing, and sessions that it ends are opened again', async () => {
    await use(createDatabase())
    // For this database only: the role serves the others, too.
    for (const setting of ROLE_SETTINGS) {
      await database.query(`alter role current_user in database ${name} set ${setting}`)
    }
    await serves(client, 4000)
  })

  test('a search path with another schema in front serves migrations and requests alike', async () => {
    await use(createDatabase({ empty: true }))
    await database.query('create schema app')
    await database.query(`alter database ${name} set search_path = app, public`)
    await serves(client)
    const [row] = await database.query<{ count: string }>('select count(*) from app.tasks')
    expect(row?.count).toBe('40')
    expect(await database.query(`select from pg_tables where schemaname = 'public'`)).toEqual([])
  })

  test('other tables of the same names in front are refused by what they lack', async () => {
    await use(createDatabase())
    await database.query('create schema other create table tasks (id int)')
    await database.query(`alter database ${name} set search_path = other, public`)
    expect(await refusal(client)).toContain('does not exist')
  })

  test('an encoding that lets any bytes through is refused by name', async () => {
    await use(createDatabase({ like: `template template0 encoding 'SQL_ASCII' locale 'C'` }))
    expect(await refusal(client)).toContain('SQL_ASCII')
  })

  test('the order of columns and of labels means nothing', async () => {
    await use(createDatabase())
    await database.query(`alter table tasks drop column description`)
    await database.query(`alter table tasks add column extra text default 'x'`)
    await database.query(`alter table tasks add column description text`)
    await database.query(`alter table users add column extra text default 'x'`)
    await database.query(`alter type task_status add value 'blocked' before 'todo'`)
    await serves(client)
  })

  test('a label that a later version has added is shown as it is', async () => {
    await use(createDatabase())
    await database.query(`alter type task_status add value 'blocked' before 'todo'`)
    const service = await startService(database.url, { DB_CLIENT: client })
    const http = createClient(service.url)
    const { token } = await register(http)
    const { body } = await http.post('/api/v1/tasks', { title: 'x' }, { token })
    await database.query(`update tasks set status = 'blocked'`)
    const found = await http.get(`/api/v1/tasks/${body.id}`, { token })
    expect(found.body).toMatchObject({ id: body.id, status: 'blocked' })
    expect((await service.stop()).code).toBe(0)
  })
})

describe('a server that', () => {
  const AUTHENTICATED = Buffer.from('R\0\0\0\x08\0\0\0\0', 'latin1')
  const READY = Buffer.from('Z\0\0\0\x05I', 'latin1')

  async function codeWhenItSays(message: Buffer): Promise<string> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write(Buffer.concat([AUTHENTICATED, message, READY])))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const code = await codeOf(open(`postgres://u@127.0.0.1:${port}/d?sslmode=disable`))
    server.close()
    return code
  }

  function parameter(setting: string, value: string): Buffer {
    const body = Buffer.from(`${setting}\0${value}\0`)
    const head = Buffer.from('S\0\0\0\0', 'latin1')
    head.writeInt32BE(4 + body.length, 1)
    return Buffer.concat([head, body])
  }

  test('sends times as floating-point numbers, or texts in another encoding, is refused', async () => {
    expect(await codeWhenItSays(parameter('integer_datetimes', 'off'))).toBe('PROTOCOL_VIOLATION')
    expect(await codeWhenItSays(parameter('client_encoding', 'LATIN1'))).toBe('PROTOCOL_VIOLATION')
  })

  test('wants another version of the protocol is refused', async () => {
    const negotiation = Buffer.from('v\0\0\0\x0c\0\x02\0\0\0\0\0\0', 'latin1')
    expect(await codeWhenItSays(negotiation)).toBe('PROTOCOL_VIOLATION')
  })
})
