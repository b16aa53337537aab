// Several hosts, of which one only reads: the pool finds the one that writes, also when that changes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { migrate } from '../../src/db/migrate.ts'
import type { Pool } from '../../src/db/pool.ts'
import { Queue } from '../../src/db/queue.ts'
import { eventually } from '../support/client.ts'
import { MIGRATIONS } from '../support/database.ts'
import { isUsable, openTestPool, type TestPoolOptions } from '../support/pool.ts'
import {
  hasSystemPostgres,
  type Standby,
  type SystemPostgres,
  startStandby,
  startSystemPostgres,
} from '../support/system-postgres.ts'
import { tasksOf } from '../support/tasks.ts'

const OWNER = '01a2024a-0000-7000-8000-000000000000'

describe.skipIf(!hasSystemPostgres())('a primary and a standby (needs postgresql-15)', () => {
  let primary: SystemPostgres
  let standby: Standby

  beforeAll(async () => {
    primary = await startSystemPostgres()
    await migrate({
      address: readAddress(primary.url),
      folder: MIGRATIONS,
      timeoutMs: 30_000,
      onApplied: () => undefined,
    })
    standby = await startStandby(primary)
  })

  afterAll(async () => {
    await standby?.stop()
    await primary?.stop()
  })

  function urlOf(servers: SystemPostgres[], parameters: Record<string, string> = {}): string {
    const host = servers.map(({ folder }) => folder).join()
    return `postgres:///postgres?${new URLSearchParams({ host, user: 'postgres', ...parameters }).toString()}`
  }

  function open(url: string, options: TestPoolOptions = {}): Pool {
    return openTestPool(url, { ...options, client: 'wire' })
  }

  test('a standby alone is named, and does not count as reachable', async () => {
    const messages: string[] = []
    const pool = open(urlOf([standby]), {
      onEvent: (event) => messages.push('error' in event ? event.error.message : event.type),
    })
    expect(await pool.start()).toBe(false)
    expect(await isUsable(pool)).toBe(false)
    expect(new Set(messages)).toEqual(new Set(['The server is a standby that only reads']))
    await pool.close(1000)
  })

  test('a standby will do when any server is asked for', async () => {
    const pool = open(urlOf([standby], { target_session_attrs: 'any' }))
    expect(await pool.start()).toBe(true)
    await pool.close(1000)
  })

  test.each(['none', 'transaction'] as const)(
    'the host behind a standby is used, with pooler %s',
    async (pooler) => {
      const pool = open(urlOf([standby, primary]), { pooler })
      expect(await pool.start()).toBe(true)
      await pool.close(1000)
    },
  )

  test('migrations pass a standby over, as requests do', async () => {
    const options = { folder: MIGRATIONS, timeoutMs: 100, onApplied: () => undefined }
    const run = (url: string) => migrate({ ...options, address: readAddress(url) })
    await run(urlOf([standby, primary]))
    await expect(run(urlOf([standby]))).rejects.toMatchObject({ cause: { code: '25006' } })
    await run(urlOf([standby], { target_session_attrs: 'any' }))
  })

  test('a standby that is promoted takes over when the primary is gone', async () => {
    const pool = open(urlOf([primary, standby]))
    await pool.start()
    const sql = `insert into users (id, email, password_hash) values ('${OWNER}', 'o@example.com', 'x')`
    await runOn(primary.url, sql)
    const tasks = tasksOf(new Queue(pool, { batchCallsMax: 128, singlesMax: 64, callsMax: 100 }))
    const task = await tasks.insert(OWNER, { title: 'before' })
    await eventually('replication', async () => (await countTasks(standby.url)) === 1)
    await primary.crash()
    const lost = tasks.insert(OWNER, { title: 'lost' })
    const error = (await lost.catch((thrown: unknown) => thrown)) as Error
    expect(error).toMatchObject({ code: 'NOT_CONNECTED' })
    expect((error.cause as Error).message).toContain('only reads')
    await standby.promote()
    await eventually('the new primary', () => isUsable(pool), 2000)
    expect(await tasks.find(OWNER, task.id)).toEqual(task)
    expect((await tasks.insert(OWNER, { title: 'after' })).title).toBe('after')
    await pool.close(1000)
  })
})

async function runOn(url: string, text: string) {
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 5000 })
  const rows = await sql.unsafe(text)
  await sql.end({ timeout: 1 })
  return rows
}

async function countTasks(url: string): Promise<number> {
  const [row] = await runOn(url, 'select count(*)::int from tasks')
  return row?.count
}
