// The whole service behind a real PgBouncer: one that keeps sessions, and one that lends them for a transaction.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import type { Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import { addRows, backUp, joinLines, rowsOf } from '../support/backups.ts'
import { createClient, eventually, register } from '../support/client.ts'
import { runCommand } from '../support/command.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import {
  hasPgBouncer,
  type PgBouncer,
  type PoolMode,
  startPgBouncer,
} from '../support/pgbouncer.ts'
import { isUsable, openTestPool } from '../support/pool.ts'
import { expectEveryRoute } from '../support/routes.ts'
import { JWT_SECRET, runMain, startService, type TestService } from '../support/service.ts'
import { type Tasks, tasksOf } from '../support/tasks.ts'
import { DDL } from './ddl.ts'
import type { TrafficReport } from './ledger.ts'
import { startTraffic } from './traffic.ts'

const CLIENTS = 12
const TIMEOUT_MS = 60_000
const EX_CONFIG = 78
const UNANNOUNCED =
  'The database is behind a transaction pooler, which keeps no session; set DB_POOLER=transaction'
const SETTINGS = { JWT_SECRET, SERVER_HOST: '127.0.0.1', SERVER_PORT: '0' }
const OWNER = '01a2024a-0000-7000-8000-000000000000'

describe.skipIf(!hasPgBouncer())('behind PgBouncer (needs the package pgbouncer)', () => {
  let database: TestDatabase
  let lastPooler: PgBouncer | undefined
  let lastService: TestService | undefined

  beforeEach(async () => {
    database = await createDatabase()
  })

  afterEach(async () => {
    await lastService?.stop()
    lastService = undefined
    await lastPooler?.stop()
    lastPooler = undefined
    await database.drop()
  })

  /** One statement for each call. */
  async function openTasks(pool: Pool): Promise<Tasks> {
    await pool.start()
    await database.query(
      `insert into users (id, email, password_hash) values ('${OWNER}', 'o@example.com', 'x')`,
    )
    return tasksOf(new Queue(pool, { batchCallsMax: 1, singlesMax: 64, callsMax: 1000 }))
  }

  async function startPooler(
    mode: PoolMode,
    settings: Record<string, string | number> = {},
  ): Promise<PgBouncer> {
    const pooler = await startPgBouncer(database.url, mode, settings)
    lastPooler = pooler
    return pooler
  }

  async function start(
    mode: PoolMode,
    env: Record<string, string>,
    settings: Record<string, string | number> = {},
  ): Promise<{ pooler: PgBouncer; service: TestService }> {
    const pooler = await startPooler(mode, settings)
    const service = await startService(pooler.url, { LISTENERS: '2', ...env })
    lastService = service
    return { pooler, service }
  }

  describe.each([
    ['session', {}, {}],
    ['session', { DB_CLIENT: 'postgres' }, {}],
    ['transaction', { DB_POOLER: 'transaction' }, {}],
    ['transaction', { DB_POOLER: 'transaction' }, { default_pool_size: 1 }],
    ['transaction', { DB_POOLER: 'transaction' }, { default_pool_size: 2, server_round_robin: 1 }],
    ['statement', { DB_POOLER: 'transaction' }, { default_pool_size: 3, server_lifetime: 1 }],
    [
      'transaction',
      { DB_POOLER: 'transaction' },
      { server_reset_query: 'discard all', server_reset_query_always: 1 },
    ],
  ] as const)('in mode %s with %j and %j', (mode, env, settings) => {
    test(
      'every route answers, and so it does under load',
      async () => {
        const { service } = await start(mode, env, settings)
        const client = createClient(service.url)
        await eventually('readiness', async () => (await client.get('/ready')).status === 200)
        await expectEveryRoute(client)
        await expectWell(service, 800)
        expect(trouble(service)).toEqual([])
      },
      TIMEOUT_MS,
    )
  })

  test.each([
    ['session', {}],
    ['transaction', { DB_POOLER: 'transaction' }],
  ] as const)(
    'a restart under load in mode %s: no wrong answer, and a full recovery',
    async (mode, env) => {
      const { pooler, service } = await start(mode, env)
      const traffic = await startTraffic(service.url, CLIENTS)
      for (let round = 0; round < 5; round += 1) {
        const before = good(traffic.report)
        await eventually('good answers', () => good(traffic.report) > before + 100)
        await pooler.restart()
      }
      const report = await traffic.stop()
      expectTruth(report)
      expect(report.broken).toEqual([])
      await expectWell(service, 200)
    },
    TIMEOUT_MS,
  )

  test(
    'changes of the schema under load in mode transaction: no wrong answer, no 500',
    async () => {
      const { service } = await start('transaction', { DB_POOLER: 'transaction' })
      const traffic = await startTraffic(service.url, CLIENTS)
      for (const change of DDL) {
        const before = good(traffic.report)
        await database.query(change)
        await eventually('good answers', () => good(traffic.report) > before + 100)
      }
      const report = await traffic.stop()
      expectTruth(report)
      expect(report.broken).toEqual([])
      await expectWell(service, 200)
    },
    TIMEOUT_MS,
  )

  test.each([
    ['wire', { default_pool_size: 1 }],
    ['wire', { default_pool_size: 20 }],
    ['wire', { default_pool_size: 2, server_round_robin: 1 }],
    ['wire', { min_pool_size: 5, server_round_robin: 1 }],
    ['postgres', { default_pool_size: 1 }],
  ])(
    'a start of %s without DB_POOLER ends with what is missing, and sets nothing: %j',
    async (DB_CLIENT, settings) => {
      const pooler = await startPooler('transaction', settings)
      const process = await runMain({
        ...SETTINGS,
        DATABASE_URL: pooler.url,
        DB_CLIENT,
        LISTENERS: '1',
      })
      expect(await process.exited).toEqual({ code: EX_CONFIG, signal: null })
      expect(process.stderr()).toBe(`${UNANNOUNCED}\n`)
      expect(await plansOfSessions(pooler.url)).toEqual(['auto'])
    },
  )

  test('several listeners end with what is missing once, without DB_POOLER', async () => {
    const pooler = await startPooler('transaction')
    const env = { ...SETTINGS, DATABASE_URL: pooler.url, LISTENERS: '2' }
    const process = await runMain(env)
    expect(await process.exited).toEqual({ code: EX_CONFIG, signal: null })
    expect(process.stderr()).toBe(`${UNANNOUNCED}\n`)
  })

  test('the limits that a role lacks are said once by several listeners, with what to do', async () => {
    const { service } = await start('transaction', { DB_POOLER: 'transaction' })
    const warnings = service.lines.filter(({ level }) => level === 'warn')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.msg).toContain('run this SQL once')
    await database.query(String(warnings[0]?.sql))
    await service.stop()
    await lastPooler?.restart()
    const again = await startService(lastPooler?.url ?? '', { DB_POOLER: 'transaction' })
    lastService = again
    expect(again.lines.filter(({ level }) => level === 'warn')).toEqual([])
    await database.query(String(warnings[0]?.sql).replace(/ set (\w+) = '[^']*'/g, ' reset $1'))
  })

  test('a database without tables is migrated through the pooler', async () => {
    const empty = await createDatabase({ empty: true })
    const lending = await startPgBouncer(empty.url, 'transaction')
    const migrated = await startService(lending.url, { DB_POOLER: 'transaction' })
    await register(createClient(migrated.url))
    await migrated.stop()
    await lending.stop()
    await empty.drop()
  })

  test.each([{}, { default_pool_size: 1 }, { default_pool_size: 3, server_round_robin: 1 }])(
    'commands work through a pooler that lends sessions: %j',
    async (settings) => {
      await addRows(database, 20, 5)
      const pooler = await startPooler('transaction', settings)
      const rows = rowsOf(await backUp(pooler))
      expect(rows).toEqual(rowsOf(await backUp(database)))

      const empty = await createDatabase({ empty: true })
      const lending = await startPgBouncer(empty.url, 'transaction', settings)
      const pending = await runCommand(lending.url, ['migrate', 'status'])
      expect(pending.stderr).toContain('Migrations are not up to date')
      const outcomes = [
        await runCommand(lending.url, ['migrate']),
        await runCommand(lending.url, ['migrate', 'status']),
        await runCommand(lending.url, ['restore', '-'], { input: joinLines(await backUp(pooler)) }),
      ]
      expect(outcomes.map(({ code, stderr }) => code || stderr)).toEqual([
        '',
        '',
        expect.stringContaining('Restored'),
      ])
      expect(rowsOf(await backUp(empty))).toEqual(rows)
      expect(await plansOfSessions(lending.url)).toEqual(['auto'])
      await lending.stop()
      await empty.drop()
    },
  )

  test('a pooler that stops keeping sessions while the service runs is named, and requests get 503', async () => {
    const { pooler, service } = await start('session', { LISTENERS: '1' })
    const client = createClient(service.url)
    await eventually('readiness', async () => (await client.get('/ready')).status === 200)
    const { token } = await register(client)
    await pooler.restart('transaction')
    const line = await service.line((each) => JSON.stringify(each).includes(UNANNOUNCED))
    expect(line.msg).toBe('Database cannot be used as it is set up')
    await eventually('the reason', async () => {
      const { status, body } = await client.get('/ready')
      return status === 503 && JSON.stringify(body).includes('DB_POOLER is not set')
    })
    await eventually(
      '503',
      async () => (await client.get('/api/v1/tasks', { token })).status === 503,
    )
    await pooler.restart('session')
    await eventually(
      '200',
      async () => (await client.get('/api/v1/tasks', { token })).status === 200,
    )
  })

  test('statements that are pipelined through two sessions are answered to their callers', async () => {
    const pooler = await startPooler('transaction', { default_pool_size: 2 })
    const events: string[] = []
    const pool = openTestPool(pooler.url, {
      connections: 6,
      client: 'wire',
      pooler: 'transaction',
      onEvent: ({ type }) => events.push(type),
    })
    const tasks = await openTasks(pool)
    const titles = Array.from({ length: 500 }, (_, index) => `task ${index}`)
    const created = await Promise.all(titles.map((title) => tasks.insert(OWNER, { title })))
    expect(created.map(({ title }) => title)).toEqual(titles)
    expect(await Promise.all(created.map(({ id }) => tasks.find(OWNER, id)))).toEqual(created)
    expect(events).toEqual(['ready'])
    await pool.close(1000)
  })

  test('a connection with a constant stream of calls leaves the only session to others in between', async () => {
    const pooler = await startPooler('transaction', { default_pool_size: 1 })
    const pool = openTestPool(pooler.url, {
      connections: 2,
      client: 'wire',
      pooler: 'transaction',
    })
    const tasks = await openTasks(pool)
    const { id } = await tasks.insert(OWNER, { title: 'read' })
    let writing = true
    const writers = Array.from({ length: 16 }, async () => {
      while (writing) await tasks.insert(OWNER, { title: 'written' })
    })
    for (let count = 0; count < 20; count += 1) {
      expect(await tasks.find(OWNER, id)).toMatchObject({ id })
    }
    writing = false
    await Promise.all(writers)
    await pool.close(1000)
  })

  test('sessions as many as connections are enough where the pooler keeps them', async () => {
    const pooler = await startPooler('session', { default_pool_size: 3 })
    const pool = openTestPool(pooler.url, { connections: 3 })
    await eventually('every connection', () => isUsable(pool))
    await pool.close(1000)
  })

  test('a role that changes what text means is refused, with the SQL that repairs it', async () => {
    const name = new URL(database.url).pathname.slice(1)
    await database.query(`alter database ${name} set bytea_output = 'escape'`)
    const pooler = await startPooler('transaction')
    const errors: string[] = []
    const pool = openTestPool(pooler.url, {
      client: 'wire',
      pooler: 'transaction',
      onEvent: (event) => errors.push('error' in event ? event.error.message : event.type),
    })
    expect(await pool.start()).toBe(false)
    expect(errors[0]).toBe(
      `Setting bytea_output is "escape" and must be "hex": alter role "postgres" set bytea_output = 'hex'`,
    )
    await pool.close(1000)
  })

  test('limits that the role does not set are reported once, and kept settings hold', async () => {
    const name = new URL(database.url).pathname.slice(1)
    await database.query(`alter database ${name} set DateStyle = 'German'`)
    await database.query(`alter database ${name} set TimeZone = 'Asia/Tokyo'`)
    await database.query(`alter database ${name} set jit = off`)
    const pooler = await startPooler('transaction', { default_pool_size: 2 })
    const repairs: string[] = []
    const pool = openTestPool(pooler.url, {
      client: 'wire',
      pooler: 'transaction',
      onLimitsUnset: (repair) => repairs.push(repair),
    })
    expect(await pool.start()).toBe(true)
    expect(repairs).toHaveLength(1)
    expect(repairs[0]).toContain(`alter role "postgres" set statement_timeout = '5000'`)
    expect(repairs[0]).not.toContain('jit')
    const tasks = await openTasks(pool)
    const due_at = '2026-02-01T10:00:00Z'
    const { id } = await tasks.insert(OWNER, { title: 'x', due_at })
    expect(await tasks.find(OWNER, id)).toMatchObject({ due_at })
    await pool.close(1000)
  })
})

/** What several sessions behind the pooler hold of a setting that the service would set on its own ones. */
async function plansOfSessions(url: string): Promise<string[]> {
  const sql = openClient(readAddress(url), { max: 5, connectTimeoutMs: 5000 })
  const rows = await Promise.all(
    Array.from({ length: 20 }, () => sql.unsafe('show plan_cache_mode')),
  )
  await sql.end({ timeout: 1 })
  return [...new Set(rows.map(([row]) => row?.plan_cache_mode))]
}

async function expectWell(service: TestService, answers: number): Promise<void> {
  const client = createClient(service.url)
  await eventually('readiness', async () => (await client.get('/ready')).status === 200)
  const traffic = await startTraffic(service.url, CLIENTS)
  await eventually('good answers', () => good(traffic.report) > answers)
  const report = await traffic.stop()
  expectTruth(report)
  expect([...report.statuses.keys()].sort()).toEqual([200, 201])
}

function expectTruth(report: TrafficReport): void {
  expect(report.wrong).toEqual([])
  expect(report.unanswered).toEqual([])
}

function good({ statuses }: TrafficReport): number {
  return statuses.get(200) ?? 0
}

/** What the service has logged about its connections. */
function trouble({ lines }: TestService): string[] {
  return lines
    .filter(({ msg }) => /lost|did not belong|unreachable/.test(msg))
    .map((line) => JSON.stringify(line))
}
