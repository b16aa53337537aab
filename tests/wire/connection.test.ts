import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Connection } from '../../src/db/wire/connection.ts'
import type { PostgresError } from '../../src/db/wire/error.ts'
import { declareStatement } from '../../src/db/wire/statement.ts'
import { INT4, INT8, TEXT, UUID } from '../../src/db/wire/types.ts'
import { maintenanceUrl } from '../support/database.ts'
import { call, codeOf, collect, ECHO, open, SERIES, SLEEP } from './conversations.ts'

const ECHO_UNNAMED = declareStatement({ ...ECHO, name: '' })
const DIVIDE = declareStatement({
  name: 'divide',
  text: 'select ($1::int8 / $2::int8)::text, $1::text',
  parameters: [INT8, INT8],
  columns: [TEXT, TEXT],
})
let connection: Connection
let closedBy: Error[]

beforeEach(async () => {
  closedBy = []
  connection = await open(maintenanceUrl(), { onClosed: (error) => closedBy.push(error) })
})

afterEach(() => connection.end())

describe('a connection', () => {
  test('prepares a statement and runs it, with and without a name', async () => {
    await connection.prepare(ECHO)
    expect(await call(connection, ECHO, 'one')).toMatchObject({ rows: [['one']], count: 1 })
    expect(await call(connection, ECHO_UNNAMED, 'two')).toMatchObject({ rows: [['two']], count: 1 })
    expect(await call(connection, ECHO, null)).toMatchObject({ rows: [[null]] })
    expect(connection.inFlight).toBe(0)
  })

  test('answers calls in their order, however many are in flight', async () => {
    await connection.prepare(ECHO)
    const calls = Array.from({ length: 500 }, (_, index) => call(connection, ECHO, String(index)))
    expect(connection.inFlight).toBe(500)
    const outcomes = await Promise.all(calls)
    expect(outcomes.map(({ rows }) => rows[0]?.[0])).toEqual(outcomes.map((_, index) => `${index}`))
  })

  test('counts the rows that a command changed', async () => {
    await connection.query('create temporary table things (id int4)')
    const insert = declareStatement({
      name: 'insert',
      text: 'insert into things select generate_series(1, $1::int4)',
      parameters: [INT4],
      columns: [],
    })
    await connection.prepare(insert)
    expect(await call(connection, insert, 7)).toMatchObject({ rows: [], count: 7 })
  })

  test('runs several statements of a query and answers their rows as text', async () => {
    expect(await connection.query("select 1, null; set jit = off; ; select 'é'")).toEqual([
      ['1', null],
      ['é'],
    ])
    expect(await connection.query('')).toEqual([])
    expect(await codeOf(connection.query('select 1/0'))).toBe('22012')
    expect(await connection.query('select 2')).toEqual([['2']])
  })

  test('refuses a statement that this database knows differently, and is closed by that', async () => {
    const wrong = declareStatement({ ...ECHO, name: 'wrong', columns: [UUID] })
    expect(await codeOf(connection.prepare(wrong))).toBe('STATEMENT_MISMATCH')
    expect(connection.closed).toBe(true)
    connection = await open(maintenanceUrl())
    const columns = declareStatement({ ...ECHO, name: 'columns', columns: [TEXT, TEXT] })
    expect(await codeOf(connection.prepare(columns))).toBe('STATEMENT_MISMATCH')
    connection = await open(maintenanceUrl())
    const parameters = declareStatement({ ...DIVIDE, name: 'parameters', parameters: [INT8] })
    expect(await codeOf(connection.prepare(parameters))).toBe('STATEMENT_MISMATCH')
    connection = await open(maintenanceUrl())
    const unnamed = declareStatement({ ...ECHO, name: '', columns: [UUID] })
    const outcome = await call(connection, unnamed, 'text')
    expect(outcome).toMatchObject({ rows: [], error: { code: 'STATEMENT_MISMATCH' } })
  })

  test('reports the fields of an error, and keeps what users sent out of sight', async () => {
    await connection.query(
      'create temporary table t (id int4 constraint t_positive check (id > 0))',
    )
    const error: PostgresError = await connection.query('insert into t values (-1)').catch((e) => e)
    expect(error).toMatchObject({
      name: 'PostgresError',
      code: '23514',
      severity: 'ERROR',
      constraint_name: 't_positive',
      table_name: 't',
    })
    expect(error.detail).toContain('-1')
    expect(JSON.stringify(error)).not.toContain('Failing row')
  })

  test('reports parameters, notices and notifications', async () => {
    const reported: string[] = []
    const listening = await open(maintenanceUrl(), {
      parameters: { application_name: 'first' },
      onParameter: (name, value) => reported.push(`${name}=${value}`),
      onNotice: ({ message }) => reported.push(message),
      onNotification: (channel, payload) => reported.push(`${channel}:${payload}`),
    })
    expect(listening.parameters.get('client_encoding')).toBe('UTF8')
    await listening.query("set application_name = 'second'; listen wire; notify wire, 'hello'")
    await listening.query("do $$ begin raise notice 'seen'; end $$")
    expect(reported).toEqual(
      expect.arrayContaining(['application_name=first', 'application_name=second', 'seen']),
    )
    expect(reported).toContain('wire:hello')
    expect(listening.parameters.get('application_name')).toBe('second')
    listening.end()
  })

  test('is closed by another encoding, which would make texts wrong', async () => {
    expect(await codeOf(connection.query("set client_encoding = 'LATIN1'"))).toBe(
      'PROTOCOL_VIOLATION',
    )
    expect(closedBy).toHaveLength(1)
  })

  test('is closed by an open transaction', async () => {
    expect(await codeOf(connection.query('begin'))).toBe('PROTOCOL_VIOLATION')
    expect(connection.closed).toBe(true)
  })

  test('is closed by a copy', async () => {
    expect(await codeOf(connection.query('copy (select 1) to stdout'))).toBe('PROTOCOL_VIOLATION')
  })

  test('gives each of a thousand statements its own answer, with errors in between', async () => {
    await Promise.all([DIVIDE, ECHO, SERIES].map((statement) => connection.prepare(statement)))
    const calls = Array.from({ length: 1000 }, async (_, index) => {
      if (index % 5 === 0) {
        expect(await call(connection, DIVIDE, index, 0)).toMatchObject({
          rows: [],
          sent: true,
          error: { code: '22012' },
        })
      } else if (index % 5 === 1) {
        const { rows, count } = await call(connection, SERIES, index % 40)
        expect(rows).toHaveLength(index % 40)
        expect(count).toBe(index % 40)
      } else if (index % 5 === 2) {
        expect((await call(connection, ECHO, `x${index}`)).rows).toEqual([[`x${index}`]])
      } else if (index % 5 === 3) {
        const outcome = await call(connection, ECHO, `nul \0 ${index}`)
        expect(outcome).toMatchObject({ sent: false, error: { code: 'INVALID_PARAMETER' } })
      } else {
        const { rows } = await call(connection, DIVIDE, index * 3, 3)
        expect(rows).toEqual([[String(index), String(index * 3)]])
      }
    })
    await Promise.all(calls)
    expect(connection.closed).toBe(false)
  })

  test('reports an error of the commit, which comes after the end of the command', async () => {
    await connection.query(
      'create temporary table parents (id int4 primary key); create temporary table children ' +
        '(id int4 references parents deferrable initially deferred)',
    )
    const insert = declareStatement({
      name: 'child',
      text: 'insert into children values ($1) returning id::text',
      parameters: [INT4],
      columns: [TEXT],
    })
    await connection.prepare(insert)
    const after = connection.query('select 1')
    expect(await call(connection, insert, 5)).toMatchObject({
      sent: true,
      error: { code: '23503' },
    })
    expect(await after).toEqual([['1']])
  })

  test('a statement that is cancelled is refused, and the connection goes on', async () => {
    await connection.prepare(SLEEP)
    const admin = await open(maintenanceUrl())
    const sleeping = call(connection, SLEEP, 30)
    const pid = connection.processId
    const event = `select wait_event from pg_stat_activity where pid = ${pid}`
    await expect.poll(() => admin.query(event)).toEqual([['PgSleep']])
    await admin.query(`select pg_cancel_backend(${pid})`)
    expect(await sleeping).toMatchObject({ sent: true, error: { code: '57014' } })
    expect(await connection.query('select 2')).toEqual([['2']])
    admin.end()
  })
})

describe('texts', () => {
  test('come back as they were sent, in all planes of Unicode and of every length', async () => {
    await connection.prepare(ECHO)
    const texts = ['', 'ascii', 'é', '€', '\u{1f600}', '\u{10ffff}\u{e000}\ufffd', '\u0001\u007f']
    for (let length = 0; length < 300; length += 1) texts.push('é'.repeat(length))
    for (let length = 40; length < 70; length += 1) texts.push('a'.repeat(length))
    for (let point = 1; point < 0x110000; point += 257) {
      if (point < 0xd800 || point > 0xdfff) texts.push(String.fromCodePoint(point))
    }
    const outcomes = await Promise.all(texts.map((text) => call(connection, ECHO, text)))
    expect(outcomes.map(({ rows }) => rows[0]?.[0])).toEqual(texts)
    expect((await call(connection, ECHO, 'half \ud83d')).rows).toEqual([['half \ufffd']])
  })

  test('may be larger than every buffer, alone and in a row', async () => {
    await connection.prepare(ECHO)
    const texts = [65_530, 65_536, 65_540, 200_000, 1_000_000].map((length) =>
      'aé€\u{1f600}'.repeat(length / 10),
    )
    const outcomes = await Promise.all(
      [...texts, 'short', ...texts].map((text) => call(connection, ECHO, text)),
    )
    expect(outcomes.map(({ rows }) => rows[0]?.[0] ?? outcomes)).toEqual([
      ...texts,
      'short',
      ...texts,
    ])
  })

  test('arrive unharmed when PostgreSQL reads them late', async () => {
    await connection.prepare(SLEEP)
    await connection.prepare(ECHO)
    const sleeping = call(connection, SLEEP, 0.3)
    const calls: Promise<void>[] = []
    let blocked = 0
    for (let index = 0; index < 60; index += 1) {
      const text = String.fromCharCode(65 + index).repeat(50_000)
      calls.push(
        call(connection, ECHO, text).then(({ rows, error }) => {
          expect(error).toBe(undefined)
          expect(rows[0]?.[0] === text).toBe(true)
        }),
      )
      await new Promise((resolve) => setImmediate(resolve))
      if (connection.blocked) blocked += 1
    }
    expect(blocked).toBeGreaterThan(0)
    await Promise.all([sleeping, ...calls])
  })

  test('with a NUL are refused before anything is sent, whatever their length', async () => {
    await connection.prepare(ECHO)
    for (const text of ['\0', 'a\0', `${'a'.repeat(1000)}\0`, 'é\0']) {
      const outcome = await call(connection, ECHO, text)
      expect(outcome).toMatchObject({ sent: false, error: { code: 'INVALID_PARAMETER' } })
      expect(outcome.error?.message).not.toContain('aaa')
    }
    expect((await call(connection, ECHO, 'fine')).rows).toEqual([['fine']])
  })
})

describe('the end', () => {
  test('destroying settles every call once, and says which cannot have been sent', async () => {
    await connection.prepare(SLEEP)
    const first = call(connection, SLEEP, 30)
    const second = call(connection, SLEEP, 30)
    connection.destroy(new Error('given up'))
    expect(await first).toMatchObject({ sent: true, settled: 1, error: { message: 'given up' } })
    expect(await second).toMatchObject({ sent: false, settled: 1 })
    expect(await call(connection, SLEEP, 1)).toMatchObject({ sent: false, settled: 1 })
    expect(await codeOf(connection.query('select 1'))).toContain('given up')
    connection.destroy(new Error('again'))
    expect(closedBy.map(({ message }) => message)).toEqual(['given up'])
  })

  test('a server that ends the session is the cause, idle or not', async () => {
    const admin = await open(maintenanceUrl())
    const victims: Error[] = []
    const options = { onClosed: (error: Error) => victims.push(error) }
    const idle = await open(maintenanceUrl(), options)
    const busy = await open(maintenanceUrl(), options)
    await busy.prepare(SLEEP)
    const [[idleId] = []] = await idle.query('select pg_backend_pid()')
    const [[busyId] = []] = await busy.query('select pg_backend_pid()')
    const sleeping = [call(busy, SLEEP, 30), call(busy, SLEEP, 30)]
    await new Promise((resolve) => setTimeout(resolve, 50))
    await admin.query(`select pg_terminate_backend(${idleId}), pg_terminate_backend(${busyId})`)
    for (const outcome of await Promise.all(sleeping)) {
      expect(outcome).toMatchObject({
        sent: true,
        error: { code: 'CONNECTION_CLOSED', cause: { name: 'PostgresError', code: '57P01' } },
      })
    }
    await expect.poll(() => victims.length).toBe(2)
    expect(victims).toMatchObject([{ cause: { code: '57P01' } }, { cause: { code: '57P01' } }])
    admin.end()
  })

  test('a sink that throws closes the connection, and the others learn why', async () => {
    await connection.prepare(ECHO)
    const { sink, outcome } = collect(() => {
      throw new Error('no such row')
    })
    connection.execute(ECHO, ['a'], sink)
    const behind = call(connection, ECHO, 'b')
    expect(await outcome).toMatchObject({ rows: [], settled: 1, error: { message: 'no such row' } })
    expect((await behind).error?.message).toBe('no such row')
  })

  test('a sink may destroy the connection while rows come', async () => {
    await connection.prepare(SERIES)
    let rows = 0
    const { sink, outcome } = collect(() => {
      rows += 1
      if (rows === 3) connection.destroy(new Error('enough'))
    })
    connection.execute(SERIES, [1000], sink)
    expect(await outcome).toMatchObject({ settled: 1, error: { message: 'enough' } })
    expect(rows).toBe(3)
  })

  test('a sink may call again at once', async () => {
    await connection.prepare(ECHO)
    let left = 100
    await new Promise<void>((resolve, reject) => {
      const again = (): void =>
        connection.execute(ECHO, [String(left)], {
          row: () => undefined,
          done: () => {
            left -= 1
            if (left === 0) resolve()
            else again()
          },
          failed: reject,
        })
      again()
    })
    expect(left).toBe(0)
  })
})
