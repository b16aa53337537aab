// The whole service on an older PostgreSQL, from the first migration on, with either client.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTraffic } from '../faults/traffic.ts'
import { createClient, eventually } from '../support/client.ts'
import { expectEveryRoute } from '../support/routes.ts'
import { startService } from '../support/service.ts'
import {
  hasSystemPostgres,
  type SystemPostgres,
  startSystemPostgres,
} from '../support/system-postgres.ts'

describe.skipIf(!hasSystemPostgres())('PostgreSQL 15 (needs the package postgresql-15)', () => {
  let postgres: SystemPostgres

  beforeAll(async () => {
    postgres = await startSystemPostgres()
  })

  afterAll(() => postgres?.stop())

  test.each(['wire', 'postgres'])('serves requests that go through %s', async (DB_CLIENT) => {
    const service = await startService(postgres.url, { DB_CLIENT, LISTENERS: '2' })
    const client = createClient(service.url)
    await expectEveryRoute(client)

    const traffic = await startTraffic(service.url, 8)
    await eventually('good answers', () => (traffic.report.statuses.get(200) ?? 0) > 300)
    const report = await traffic.stop()
    expect(report).toMatchObject({ wrong: [], broken: [], unanswered: [] })
    expect([...report.statuses.keys()].sort()).toEqual([200, 201])
    expect((await service.stop()).code).toBe(0)
  })
})
