// The whole service on an older PostgreSQL, from the first migration on, with either client.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTraffic } from '../faults/traffic.ts'
import { createClient, eventually, register } from '../support/client.ts'
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
    const { email, password, token } = await register(client)
    expect((await client.post('/api/v1/auth/login', { email, password })).status).toBe(200)
    const { body } = await client.post('/api/v1/tasks', { title: 'x' }, { token })
    const path = `/api/v1/tasks/${body.id}`
    const patched = await client.patch(path, { status: 'done' }, { token })
    expect(patched.body).toMatchObject({ id: body.id, status: 'done' })
    const listed = await client.get('/api/v1/tasks?status=done&limit=1', { token })
    expect(listed.body).toEqual([patched.body])
    expect((await client.delete(path, { token })).status).toBe(204)
    expect((await client.get(path, { token })).status).toBe(404)

    const traffic = await startTraffic(service.url, 8)
    await eventually('good answers', () => (traffic.report.statuses.get(200) ?? 0) > 300)
    const report = await traffic.stop()
    expect(report).toMatchObject({ wrong: [], broken: [], unanswered: [] })
    expect([...report.statuses.keys()].sort()).toEqual([200, 201])
    expect((await service.stop()).code).toBe(0)
  })
})
