// The database changes, dies and stalls under load: nobody gets another's row, nothing that was acknowledged is lost, and
// the service is well again by itself. With either client.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startService, type TestService } from '../support/service.ts'
import { DDL } from './ddl.ts'
import { countAnswers, type TrafficReport } from './ledger.ts'
import { startTraffic } from './traffic.ts'

const CLIENTS = 12
const TIMEOUT_MS = 60_000

describe.each(['wire', 'postgres'])('over the client %s', (DB_CLIENT) => {
  let database: TestDatabase
  let service: TestService

  beforeAll(async () => {
    database = await createDatabase()
    service = await startService(database.url, { DB_CLIENT, REQUEST_TIMEOUT_MS: '5000' })
  })

  afterAll(async () => {
    await service?.stop()
    await database?.drop()
  })

  async function expectWell(): Promise<void> {
    const client = createClient(service.url)
    await eventually('readiness', async () => (await client.get('/ready')).status === 200)
    const traffic = await startTraffic(service.url, CLIENTS)
    await eventually('good answers', () => (traffic.report.statuses.get(200) ?? 0) > 200)
    const report = await traffic.stop()
    expectTruth(report)
    expect([...report.statuses.keys()].sort()).toEqual([200, 201])
  }

  test(
    'changes of the schema under load: no wrong answer, no 500',
    async () => {
      const traffic = await startTraffic(service.url, CLIENTS)
      for (let round = 0; round < 2; round += 1) {
        for (const statement of DDL) {
          const before = countAnswers(traffic.report)
          await database.query(statement)
          await eventually('more answers', () => countAnswers(traffic.report) > before + 100)
        }
      }
      const report = await traffic.stop()
      expectTruth(report)
      expect(report.broken).toEqual([])
      await expectWell()
    },
    TIMEOUT_MS,
  )

  test(
    'sessions that are terminated under load: no wrong answer, and a full recovery',
    async () => {
      const traffic = await startTraffic(service.url, CLIENTS)
      for (let round = 0; round < 30; round += 1) {
        await database.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name = 'taskapi' and datname = current_database()`,
        )
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      const report = await traffic.stop()
      expectTruth(report)
      expect(report.broken).toEqual([])
      await expectWell()
    },
    TIMEOUT_MS,
  )

  test(
    'statements that are cancelled under load are answered 503 or run again',
    async () => {
      const traffic = await startTraffic(service.url, CLIENTS)
      for (let round = 0; round < 100; round += 1) {
        await database.query(
          `select pg_cancel_backend(pid) from pg_stat_activity
           where application_name = 'taskapi' and datname = current_database() and state = 'active'`,
        )
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      const report = await traffic.stop()
      expectTruth(report)
      expect(report.broken).toEqual([])
      await expectWell()
    },
    TIMEOUT_MS,
  )
})

function expectTruth(report: TrafficReport): void {
  expect(report.wrong).toEqual([])
  expect(report.unanswered).toEqual([])
  expect(report.refused).toBe(0)
}
