// The metrics of real processes under load, as a scraper reads them.
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startLoad } from '../support/load.ts'
import { readMetrics } from '../support/metrics.ts'
import { startService, type TestService } from '../support/service.ts'

/** Of each of two kinds. */
const REQUESTS = Number(process.env.METRICS_REQUESTS ?? 2000)

let database: TestDatabase | undefined
let service: TestService | undefined

afterEach(async () => {
  await service?.stop()
  await database?.drop()
})

async function start(
  env: Record<string, string>,
): Promise<{ service: TestService; admin: string }> {
  database = await createDatabase()
  service = await startService(database.url, { ADMIN_PORT: '0', ...env })
  const { url } = await service.line(({ msg }) => msg === 'Admin port is open')
  return { service, admin: String(url) }
}

for (const listeners of [1, 2]) {
  test(`the sums over ${listeners} listener(s) equal what the client has counted`, async () => {
    const { service: running, admin } = await start({ LISTENERS: String(listeners) })
    const good = startLoad(running.url, 8, { path: '/health' })
    const bad = startLoad(running.url, 8, { path: '/api/v1/tasks' })
    const count = () => (good.outcome.answered.get(200) ?? 0) + (bad.outcome.answered.get(401) ?? 0)
    await eventually('the requests', () => count() >= REQUESTS, 600_000)
    const [healthy, refused] = [await good.stop(), await bad.stop()]
    const metrics = await readMetrics(admin)
    const requests = (route: string, status: string) =>
      metrics.sum('taskapi_http_requests_total', { method: 'GET', route, status })
    expect(requests('/health', '200')).toBe(healthy.answered.get(200))
    expect(requests('/api/v1/tasks', '401')).toBe(refused.answered.get(401))
    expect(metrics.sum('taskapi_http_request_duration_seconds_count', { route: '/health' })).toBe(
      healthy.answered.get(200),
    )
  })
}
