// PostgreSQL refuses the service for a while, because of what somebody changed: 503 until it is set right, never 500, and
// well again by itself.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, eventually, register } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { JWT_SECRET, runMain, startService, type TestService } from '../support/service.ts'
import { open } from '../wire/conversations.ts'
import { hasOpenssl, makeAuthority, type OwnServer, startOwnServer } from '../wire/own-server.ts'
import type { TrafficReport } from './ledger.ts'
import { startTraffic } from './traffic.ts'

const CLIENTS = 8
const TIMEOUT_MS = 60_000
/** What an operator can expect after the cause is gone. */
const RECOVERY_MS = 2000

/** What somebody does to the schema, and what sets it right. */
const CHANGES = [
  [
    'a column is renamed',
    'alter table tasks rename title to name',
    'alter table tasks rename name to title',
  ],
  ['a table is renamed', 'alter table tasks rename to jobs', 'alter table jobs rename to tasks'],
  ['a type is renamed', 'alter type priority rename to rank', 'alter type rank rename to priority'],
  ['the role may not log in', 'alter role ROLE nologin', 'alter role ROLE login'],
] as const

describe.each(['wire', 'postgres'])('over the client %s', (DB_CLIENT) => {
  const role = `refused_${DB_CLIENT}`
  let database: TestDatabase
  let service: TestService

  beforeAll(async () => {
    database = await createDatabase()
    await database.query(`create role ${role} login superuser`)
    const url = new URL(database.url)
    url.searchParams.set('user', role)
    service = await startService(url.href, { DB_CLIENT, REQUEST_TIMEOUT_MS: '5000' })
  })

  afterAll(async () => {
    await service?.stop()
    await database?.query(`drop role ${role}`)
    await database?.drop()
  })

  test.each(CHANGES)(
    'while %s, answers are 503, and well again afterwards',
    async (_, change, restore) => {
      const traffic = await startTraffic(service.url, CLIENTS)
      const count = (status: number) => traffic.report.statuses.get(status) ?? 0
      await eventually('good answers', () => count(200) > 50)
      await database.query(change.replace('ROLE', role))
      await database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where usename = '${role}' and datname = current_database()`,
      )
      await eventually('refusals', () => count(503) > 50)
      await database.query(restore.replace('ROLE', role))
      const before = count(200)
      await eventually('good answers again', () => count(200) > before + 50, RECOVERY_MS)
      expectTruth(await traffic.stop())
    },
    TIMEOUT_MS,
  )

  test(
    'a column that is renamed without an end of any session is 503, too',
    async () => {
      const traffic = await startTraffic(service.url, CLIENTS)
      const count = (status: number) => traffic.report.statuses.get(status) ?? 0
      await eventually('good answers', () => count(200) > 50)
      await database.query('alter table tasks rename title to name')
      await eventually('refusals', () => count(503) > 50)
      await database.query('alter table tasks rename name to title')
      const before = count(200)
      await eventually('good answers again', () => count(200) > before + 50, RECOVERY_MS)
      expectTruth(await traffic.stop())
    },
    TIMEOUT_MS,
  )
})

describe.skipIf(!(await hasOpenssl()))('a password that is changed (needs openssl)', () => {
  let folder: string
  let server: OwnServer

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'refused-'))
    await chmod(folder, 0o755)
    const authority = await makeAuthority(folder, 'authority')
    const certificate = await authority.issue('server', 'DNS:localhost')
    server = await startOwnServer(
      ['local all postgres trust', 'host all all all scram-sha-256'],
      certificate,
      authority.certificateFile,
    )
  }, TIMEOUT_MS)

  afterAll(async () => {
    await server?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test.each(['wire', 'postgres'])(
    'is 503 over %s, without the password in the log, and well again when it is right',
    async (DB_CLIENT) => {
      const name = `rotated_${DB_CLIENT}`
      const admin = await open(server.url)
      await admin.query(`create role ${name} login password 'first secret'`)
      await admin.query(`create database ${name} owner ${name}`)
      const url = `postgres://${name}:first%20secret@127.0.0.1:${server.port}/${name}?sslmode=disable`
      const migrating = await runMain({ DATABASE_URL: url, JWT_SECRET }, ['migrate'])
      expect((await migrating.exited).code).toBe(0)
      const service = await startService(url, { DB_CLIENT })
      const client = createClient(service.url)
      const { token } = await register(client)
      const list = () => client.get('/api/v1/tasks', { token })
      await admin.query(`alter role ${name} password 'second secret'`)
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${name}'`,
      )
      await eventually('refusal', async () => (await list()).status === 503)
      expect((await client.get('/ready')).status).toBe(503)
      await admin.query(`alter role ${name} password 'first secret'`)
      await eventually('an answer', async () => (await list()).status === 200, RECOVERY_MS)
      await eventually('readiness', async () => (await client.get('/ready')).status === 200)
      expect((await service.stop()).code).toBe(0)
      expect(JSON.stringify(service.lines)).toContain('28P01')
      expect(JSON.stringify(service.lines)).not.toContain('secret')
      admin.end()
    },
    TIMEOUT_MS,
  )
})

function expectTruth(report: TrafficReport): void {
  expect(report.broken).toEqual([])
  expect(report.wrong).toEqual([])
  expect(report.unanswered).toEqual([])
}
