// The metrics of real processes under load, as a scraper reads them.
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient, eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startLoad } from '../support/load.ts'
import { hasPythonClient, parseWithPython, readMetrics, type Scrape } from '../support/metrics.ts'
import { expectEveryRoute } from '../support/routes.ts'
import { startService, type TestService } from '../support/service.ts'

/** Requests that are counted here and there: METRICS_REQUESTS=100000 for a long run. */
const REQUESTS = Number(process.env.METRICS_REQUESTS ?? 2000)
const PATIENCE_MS = 60_000
const COUNTER = /_(?:total|bucket|count)$/
const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0'

let database: TestDatabase | undefined
let service: TestService | undefined

afterEach(async () => {
  await service?.stop()
  await database?.drop()
})

interface Started {
  service: TestService
  /** URL of the admin port. */
  admin: string
}

async function start(env: Record<string, string>): Promise<Started> {
  database = await createDatabase()
  service = await startService(database.url, { ADMIN_PORT: '0', ...env })
  const { url } = await service.line(({ msg }) => msg === 'Admin port is open')
  return { service, admin: String(url) }
}

/** Process ids of the listeners that live, the youngest first. */
function listenersOf({ service: running }: Started): number[] {
  const dead = running.lines.map(({ listener_pid }) => listener_pid)
  const up = running.lines.filter(({ msg, pid }) => msg === 'Listener is up' && !dead.includes(pid))
  return up.map(({ pid }) => pid).toReversed()
}

/** Kills the youngest listener, and waits for the one that replaces it. */
async function killOne(started: Started): Promise<void> {
  const [victim = 0] = listenersOf(started)
  process.kill(victim, 'SIGKILL')
  await eventually(
    'the replacement',
    () => {
      const alive = listenersOf(started)
      return alive.length === 2 && !alive.includes(victim)
    },
    PATIENCE_MS,
  )
}

/** Reads until every listener has answered in time, which on a busy machine some may not. */
async function readFresh(admin: string): Promise<Scrape> {
  let scrape = await readMetrics(admin)
  const isFresh = async () => {
    if ((scrape.sum('taskapi_listener_scrape_stale') ?? 0) === 0) return true
    scrape = await readMetrics(admin)
    return false
  }
  await eventually('answers of all listeners', isFresh, PATIENCE_MS)
  return scrape
}

/** Names every counter that is lower than it was, or gone. */
function fallen(before: Scrape, after: Scrape): string[] {
  return before.samples
    .filter(({ name }) => COUNTER.test(name))
    .filter(({ name, labels, value }) => (after.sum(name, labels) ?? -1) < value)
    .map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
}

for (const listeners of ['1', '2']) {
  test(`the counts of ${listeners} listener(s) equal those of the clients`, async () => {
    const { service: running, admin } = await start({ LISTENERS: listeners })
    const good = startLoad(running.url, 8, { path: '/health' })
    const bad = startLoad(running.url, 8, { path: '/api/v1/tasks' })
    const count = () => (good.outcome.answered.get(200) ?? 0) + (bad.outcome.answered.get(401) ?? 0)
    await eventually('the requests', () => count() >= REQUESTS, 600_000)
    const healthy = (await good.stop()).answered.get(200)
    const refused = (await bad.stop()).answered.get(401)
    const metrics = await readFresh(admin)
    const requests = (route: string, status: string) =>
      metrics.sum('taskapi_http_requests_total', { method: 'GET', route, status })
    const timed = (route: string) =>
      metrics.sum('taskapi_http_request_duration_seconds_count', { route })
    expect(requests('/health', '200')).toBe(healthy)
    expect(requests('/api/v1/tasks', '401')).toBe(refused)
    expect([timed('/health'), timed('/api/v1/tasks')]).toEqual([healthy, refused])
  })
}

test('counters never fall while listeners are killed under load', async () => {
  const started = await start({ LISTENERS: '2' })
  const load = startLoad(started.service.url, 8, { path: '/health' })
  let last = await readMetrics(started.admin)
  const wrong: string[] = []
  let scraping = true
  const scraper = (async () => {
    while (scraping) {
      const next = await readMetrics(started.admin)
      wrong.push(...fallen(last, next))
      last = next
      await delay(20)
    }
  })()
  for (let round = 0; round < 3; round += 1) await killOne(started)
  scraping = false
  await Promise.all([scraper, load.stop()])
  expect(wrong).toEqual([])
  expect(last.sum('taskapi_listener_restarts_total', { reason: 'SIGKILL' })).toBe(3)
  expect(last.sum('taskapi_http_requests_total', { route: '/health' })).toBeGreaterThan(100)
})

test('what a listener has counted outlives it, and is counted once', async () => {
  const started = await start({ LISTENERS: '2' })
  const load = startLoad(started.service.url, 8, { path: '/health' })
  await eventually('requests', () => (load.outcome.answered.get(200) ?? 0) > 200, PATIENCE_MS)
  const answered = (await load.stop()).answered.get(200)
  const count = async () =>
    (await readFresh(started.admin)).sum('taskapi_http_requests_total', { route: '/health' })
  expect(await count()).toBe(answered)
  // All of them, one after the other, and one of those that came instead.
  for (let round = 0; round < 3; round += 1) {
    await killOne(started)
    expect(await count()).toBe(answered)
  }
})

test('a listener that hangs is shown as it last answered, and the scrape says so', async () => {
  const started = await start({ LISTENERS: '2' })
  const before = await readMetrics(started.admin)
  const [hung = 0] = listenersOf(started)
  process.kill(hung, 'SIGSTOP')
  const scrapes = await Promise.all(Array.from({ length: 4 }, () => readMetrics(started.admin)))
  for (const scrape of scrapes) {
    expect(scrape.sum('taskapi_listener_scrape_stale')).toBe(1)
    expect(fallen(before, scrape)).toEqual([])
    expect(scrape.sum('taskapi_db_connections', { state: 'ready' })).toBe(6)
  }
  process.kill(hung, 'SIGCONT')
  const stale = async () => (await readMetrics(started.admin)).sum('taskapi_listener_scrape_stale')
  await eventually('its answer', async () => (await stale()) === 0, PATIENCE_MS)
})

test('no label has a value that a client has chosen', async () => {
  const { service: running, admin } = await start({})
  const before = await readMetrics(admin)
  const client = createClient(running.url)
  for (let turn = 0; turn < 20; turn += 1) {
    await client.request(`WORD${turn}`, '/health')
    await client.get(`/nothing/${turn}`)
    await client.get(`/api/v1/tasks/${turn}`)
  }
  const after = await readMetrics(admin)
  const added = after.samples.filter(({ name, labels }) => before.sum(name, labels) === undefined)
  const requests = added.filter(({ name }) => name === 'taskapi_http_requests_total')
  expect(requests.map(({ labels, value }) => ({ ...labels, value }))).toEqual(
    expect.arrayContaining([
      { method: 'other', route: '/health', status: '405', value: 20 },
      { method: 'GET', route: '/*', status: '404', value: 20 },
      { method: 'GET', route: '/api/v1/tasks/:id', status: '401', value: 20 },
    ]),
  )
  expect(requests.length).toBe(3)
})

describe.skipIf(!hasPythonClient())('Python (needs python3-prometheus-client)', () => {
  for (const [reader, accept] of [
    ['text', 'text/plain'],
    ['openMetrics', OPEN_METRICS],
  ] as const) {
    test(`reads the ${reader} format, and the same in it as we do`, async () => {
      const { service: running, admin } = await start({ LISTENERS: '2', RATE_LIMIT: '1000/s' })
      await expectEveryRoute(createClient(running.url))
      const response = await fetch(`${admin}/metrics`, { headers: { accept } })
      const type = reader === 'text' ? 'text/plain; version=0.0.4' : OPEN_METRICS
      expect(response.headers.get('content-type')).toBe(`${type}; charset=utf-8`)
      const scrape = parseWithPython(reader, await response.text())
      const own = await readMetrics(admin)
      const names = (of: Scrape) => [...new Set(of.samples.map(({ name }) => name))].sort()
      expect(names(scrape)).toEqual(names(own))
      const labels = { method: 'POST', route: '/api/v1/auth/login', status: '200' }
      expect(scrape.sum('taskapi_http_requests_total', labels)).toBe(1)
      expect(scrape.sum('taskapi_db_batch_calls_count', { operation: 'insert_user' })).toBe(1)
      expect(scrape.sum('taskapi_password_duration_seconds_count')).toBe(2)
    })
  }
})
