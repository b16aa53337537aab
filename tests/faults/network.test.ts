// The way to the database fails under load: every request has an answer in time, no answer is wrong, and the service is
// well again soon after the network is. With either client.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, eventually, register } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startService, type TestService } from '../support/service.ts'
import { type FaultProxy, type Mode, openProxy } from './proxy.ts'
import { startTraffic } from './traffic.ts'

const CLIENTS = 12
const TIMEOUT_MS = 60_000
const REQUEST_TIMEOUT_MS = 1500

describe.each(['wire', 'postgres'])('over the client %s', (DB_CLIENT) => {
  let database: TestDatabase
  let proxy: FaultProxy
  let service: TestService

  beforeAll(async () => {
    database = await createDatabase()
    proxy = await openProxy(database.url)
    service = await startService(proxy.url, {
      DB_CLIENT,
      REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS),
      DB_STATEMENT_TIMEOUT_MS: '1000',
    })
  })

  afterAll(async () => {
    proxy?.set('pass')
    await service?.stop()
    await proxy?.close()
    await database?.drop()
  })

  test.each<Mode>(['stall', 'swallow', 'reset'])(
    'a network that does this for three seconds: %s',
    async (mode) => {
      const traffic = await startTraffic(service.url, CLIENTS)
      const good = () => traffic.report.statuses.get(200) ?? 0
      await eventually('load', () => good() > 100)
      proxy.set(mode)
      await new Promise((resolve) => setTimeout(resolve, 3000))
      proxy.set('pass')
      const before = good()
      await eventually('good answers again', () => good() > before + 200, 15_000)
      const report = await traffic.stop()
      expect(report.wrong).toEqual([])
      expect(report.unanswered).toEqual([])
      expect(report.refused).toBe(0)
      expect(report.broken).toEqual([])
      expect((await createClient(service.url).get('/ready')).status).toBe(200)
    },
    TIMEOUT_MS,
  )

  test(
    'while nothing can be reached, calls fail soon, few connections are tried, and /health is well',
    async () => {
      const client = createClient(service.url)
      const { token } = await register(client)
      proxy.set('reset')
      await eventually('readiness to fail', async () => (await client.get('/ready')).status === 503)
      const before = proxy.dials
      service.lines.length = 0
      const startedAt = performance.now()
      for (let count = 0; count < 50; count += 1) {
        const answer = await client.post('/api/v1/tasks', { title: 'ghost' }, { token })
        expect(answer.status).toBe(503)
      }
      expect((await client.get('/health')).status).toBe(200)
      const seconds = (performance.now() - startedAt) / 1000
      // Three connections, with six waits that double before there is one attempt a second.
      expect(proxy.dials - before).toBeLessThan(3 * (8 + seconds))
      const said = service.lines.filter(({ msg }) => msg.includes('atabase'))
      expect(said.length).toBeLessThan(10)
      expect(JSON.stringify(said)).not.toContain('stack')
      proxy.set('pass')
      await eventually('readiness', async () => (await client.get('/ready')).status === 200)
      expect((await client.get('/api/v1/tasks', { token })).body).toEqual([])
    },
    TIMEOUT_MS,
  )
})
