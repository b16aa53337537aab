// Requests as traces: what a collector receives of them, and what becomes of requests when there is none.
import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Account, type Client, createClient, eventually, register } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { type Collector, type ReceivedSpan, startCollector } from '../support/otlp.ts'
import { startService, type TestService } from '../support/service.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
})

afterAll(async () => {
  await database.drop()
})

interface TestTrace {
  id: string
  parentId: string
  headers: Record<string, string>
}

/** A place in a new trace, as a client sends it. */
function newTrace(sampled: boolean): TestTrace {
  const [id, parentId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
  const traceparent = `00-${id}-${parentId}-${sampled ? '01' : '00'}`
  return { id, parentId, headers: { traceparent } }
}

describe('a service whose clients decide on sampling', () => {
  let collector: Collector
  let service: TestService
  let client: Client
  let account: Account

  beforeAll(async () => {
    collector = await startCollector()
    service = await startService(database.url, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20secret',
      OTEL_TRACES_SAMPLER: 'parentbased_always_off',
      OTEL_SERVICE_NAME: 'tasks',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=other',
    })
    client = createClient(service.url)
    account = await register(client)
  })

  afterAll(async () => {
    await service.stop()
    await collector.close()
  })

  /** The spans of a trace, once that of the request is among them. */
  async function spansOf({ id }: TestTrace): Promise<ReceivedSpan[]> {
    const spans = () => collector.spans.filter(({ traceId }) => traceId === id)
    await eventually(`trace ${id} arrives`, () => spans().some(isServer))
    return spans()
  }

  test('a request has a span in the trace of its client, and its parts have theirs below', async () => {
    const trace = newTrace(true)
    const headers = { ...trace.headers, tracestate: 'vendor=1', 'x-request-id': 'traced-1' }
    const { token } = account
    const task = { title: 'Traced' }
    const { body } = await client.request('POST', '/api/v1/tasks', { json: task, token, headers })
    expect(body.title).toBe('Traced')

    const spans = await spansOf(trace)
    const request = spanNamed(spans, 'POST /api/v1/tasks')
    expect(request).toMatchObject({
      kind: 'SPAN_KIND_SERVER',
      parentId: trace.parentId,
      state: 'vendor=1',
      status: 'STATUS_CODE_UNSET',
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/api/v1/tasks',
        'http.response.status_code': 201,
        'url.path': '/api/v1/tasks',
        'url.scheme': 'http',
        'taskapi.request_id': 'traced-1',
      },
    })
    expect(request.resource).toMatchObject({
      'service.name': 'tasks',
      'deployment.environment.name': 'test',
    })
    const parts = spans.filter((span) => span !== request)
    expect(parts.map(({ name }) => name).sort()).toEqual([
      'authentication',
      'insert_task_one',
      'queue wait',
    ])
    for (const part of parts) {
      expect(part.parentId).toBe(request.spanId)
      expect(part.startNs >= request.startNs && part.startNs <= part.endNs).toBe(true)
      expect(part.endNs <= request.endNs).toBe(true)
    }
    expect(spanNamed(spans, 'insert_task_one')).toMatchObject({
      kind: 'SPAN_KIND_CLIENT',
      links: [],
      attributes: {
        'db.system.name': 'postgresql',
        'db.namespace': new URL(database.url).pathname.slice(1),
        'db.operation.name': 'insert_task',
        'db.query.summary': 'insert_task_one',
        'db.query.text': expect.stringContaining('insert into tasks'),
      },
    })
    expect(collector.headers[0]).toMatchObject({ 'x-key': 'a secret' })
  })

  test('a login has spans of its password', async () => {
    const trace = newTrace(true)
    const { email, password } = account
    const login = { json: { email, password }, headers: trace.headers }
    expect((await client.request('POST', '/api/v1/auth/login', login)).status).toBe(200)
    const spans = await spansOf(trace)
    const [wait, hash] = [spanNamed(spans, 'password wait'), spanNamed(spans, 'password hash')]
    expect(hash.startNs).toBe(wait.endNs)
    expect(hash.endNs > hash.startNs).toBe(true)
  })

  test('a refused request says why, and a path without a route gives no name', async () => {
    const [refused, unknown] = [newTrace(true), newTrace(true)]
    const path = `/api/v1/tasks?secret=${refused.id}`
    const { body } = await client.get(path, { token: 'x', headers: refused.headers })
    expect(body.trace_id).toBe(refused.id)
    await client.get('/elsewhere', { headers: unknown.headers })

    const spans = await spansOf(refused)
    expect(spanNamed(spans, 'GET /api/v1/tasks').attributes).toMatchObject({
      'http.response.status_code': 401,
      'url.path': '/api/v1/tasks',
    })
    expect(spanNamed(spans, 'authentication')).toMatchObject({
      status: 'STATUS_CODE_ERROR',
      attributes: { 'error.type': 'unauthorized' },
    })
    const [span] = await spansOf(unknown)
    expect(span).toMatchObject({ name: 'GET' })
    expect(span?.attributes['http.route']).toBeUndefined()
    expect(span?.attributes['url.path']).toBeUndefined()
  })

  test('nothing of a client is as long as it pleases', async () => {
    const trace = newTrace(true)
    await client.get(`/api/v1/tasks/${'x'.repeat(5000)}`, { headers: trace.headers })
    const [span] = await spansOf(trace)
    expect(span?.attributes['url.path']).toBe(`/api/v1/tasks/${'x'.repeat(242)}`)
  })

  test('a shared statement has a span that links all its traced calls, and no others', async () => {
    const { token } = account
    const traces = Array.from({ length: 12 }, (_, at) => newTrace(at % 2 === 0))
    const ids: string[] = []
    for (const { id: title } of traces) {
      ids.push((await client.post('/api/v1/tasks', { title }, { token })).body.id)
    }
    // While the rows are locked, at most four statements are in flight, so the other calls wait, and then go together.
    await database.query('begin; select from tasks for update')
    const patches = traces.map(({ headers }, at) =>
      client.patch(`/api/v1/tasks/${ids[at]}`, { title: 'Changed' }, { token, headers }),
    )
    for (let turn = 0; turn < 10; turn += 1) await client.get('/health')
    await database.query('commit')
    for (const { status } of await Promise.all(patches)) expect(status).toBe(200)

    const sampled = traces.filter((_, at) => at % 2 === 0)
    for (const trace of sampled) await spansOf(trace)
    const parts = collector.spans.filter(
      ({ traceId, name }) =>
        name === 'update_task_many' && sampled.some(({ id }) => id === traceId),
    )
    const batches = collector.spans.filter(({ links, kind }) => links.length > 0 && isClient(kind))
    expect(batches.length).toBeGreaterThan(0)
    expect(parts.length).toBeGreaterThan(0)
    for (const batch of batches) {
      const members = parts.filter(({ links }) => links[0]?.spanId === batch.spanId)
      expect(places(batch.links)).toEqual(places(members))
      expect(batch.parentId).toBe('')
      expect(traces.some(({ id }) => id === batch.traceId)).toBe(false)
      const size = Number(batch.attributes['db.operation.batch.size'])
      expect(size).toBeGreaterThanOrEqual(Math.max(2, members.length))
      for (const member of members) {
        expect(member).toMatchObject({
          kind: 'SPAN_KIND_INTERNAL',
          startNs: batch.startNs,
          endNs: batch.endNs,
        })
      }
    }
    for (const part of parts) expect(part.links).toHaveLength(1)
  })

  test('a request that its client does not sample, or that has no trace, leaves nothing', async () => {
    const [unsampled, last] = [newTrace(false), newTrace(true)]
    const titles = { token: account.token }
    const { body } = await client.get('/nowhere', { headers: unsampled.headers })
    expect(body.trace_id).toBe(unsampled.id)
    expect((await client.get('/nowhere')).body).not.toHaveProperty('trace_id')
    await client.get('/api/v1/tasks', { ...titles, headers: unsampled.headers })
    await client.get('/api/v1/tasks', titles)
    await client.get('/api/v1/tasks', { ...titles, headers: last.headers })
    await spansOf(last)
    expect(collector.spans.filter(({ traceId }) => traceId === unsampled.id)).toEqual([])
    // Every request span has the parent that its client has named: none has begun a trace.
    expect(collector.spans.filter(isServer).filter(({ parentId }) => parentId === '')).toEqual([])
  })
})

describe('a service that decides itself', () => {
  test('begins traces, names them in answers and in the log, and exports the last ones when it ends', async () => {
    const collector = await startCollector()
    const service = await startService(database.url, {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      LOG_REQUESTS: 'all',
    })
    const answer = await createClient(service.url).get('/nowhere')
    expect(answer.headers.get('traceparent')).toBeNull()
    const { trace_id: id } = answer.body
    expect(id).toMatch(/^[\da-f]{32}$/)
    await service.line(({ trace_id, msg }) => msg === 'Request' && trace_id === id)
    expect(await service.stop()).toEqual({ code: 0, signal: null })
    const spans = collector.spans.filter(({ traceId }) => traceId === id)
    expect(spans).toMatchObject([{ name: 'GET', parentId: '' }])
    await collector.close()
  })
})

describe('a service without a collector', () => {
  test('names the trace of its client in problems and in the log', async () => {
    const service = await startService(database.url, { LOG_REQUESTS: 'all' })
    const client = createClient(service.url)
    const trace = newTrace(true)
    const { body } = await client.get('/nowhere', { headers: trace.headers })
    expect(body.trace_id).toBe(trace.id)
    await service.line(({ trace_id }) => trace_id === trace.id)
    const invalid = { traceparent: `ff${trace.headers.traceparent?.slice(2)}` }
    const other = await client.get('/nowhere', { headers: invalid })
    expect(other.body).not.toHaveProperty('trace_id')
    const line = await service.line(({ request_id }) => request_id === other.body.request_id)
    expect(line).not.toHaveProperty('trace_id')
    await service.stop()
  })
})

describe('a collector that takes nothing', () => {
  const sockets = new Set<Socket>()

  /** A port where something accepts connections and never answers, or where nothing listens. */
  async function openPort(answers: boolean): Promise<number> {
    const server = createServer((socket) => sockets.add(socket))
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    const { port } = server.address() as AddressInfo
    if (!answers) await new Promise((closed) => server.close(closed))
    else server.unref()
    return port
  }

  afterAll(() => {
    for (const socket of sockets) socket.destroy()
  })

  test.each([
    ['does not listen', false],
    ['does not answer', true],
  ])('because it %s changes no answer and keeps no drain waiting', async (_, answers) => {
    const port = await openPort(answers)
    const service = await startService(database.url, {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    })
    const client = createClient(service.url)
    // More spans than may wait for the collector: each request has one for its refused authentication, too.
    for (let round = 0; round < 15; round += 1) {
      const requests = Array.from({ length: 100 }, () => client.get('/api/v1/tasks'))
      for (const { status } of await Promise.all(requests)) expect(status).toBe(401)
    }
    const line = await service.line(({ msg }) => msg === 'Spans of traces were lost')
    expect(line).toMatchObject({ level: 'warn', reason: { message: expect.any(String) } })
    expect(Number(line.spans)).toBeGreaterThan(0)
    const stoppedAtMs = performance.now()
    expect(await service.stop()).toEqual({ code: 0, signal: null })
    // An export is given up after 10 seconds, which the drain does not wait for.
    expect(performance.now() - stoppedAtMs).toBeLessThan(8000)
    const lost = service.lines
      .filter(({ msg }) => msg === 'Spans of traces were lost')
      .reduce((sum, { spans }) => sum + Number(spans), 0)
    expect(lost).toBe(3000)
  })

  test('because it refuses is named in the log, without the key that it was sent', async () => {
    const collector = await startCollector({ status: 401 })
    const service = await startService(database.url, {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20very-secret',
    })
    await createClient(service.url).get('/nowhere')
    await service.line(({ msg }) => msg === 'Spans of traces were lost')
    await service.stop()
    expect(JSON.stringify(service.lines)).not.toContain('very-secret')
    await collector.close()
  })
})

function isServer({ kind }: ReceivedSpan): boolean {
  return kind === 'SPAN_KIND_SERVER'
}

function isClient(kind: string): boolean {
  return kind === 'SPAN_KIND_CLIENT'
}

function spanNamed(spans: ReceivedSpan[], wanted: string): ReceivedSpan {
  const [span, ...others] = spans.filter(({ name }) => name === wanted)
  expect(others, wanted).toEqual([])
  if (!span) throw new Error(`No span ${wanted} among ${spans.map(({ name }) => name).join()}`)
  return span
}

function places(of: { traceId: string; spanId: string }[]): string[] {
  return of.map(({ traceId, spanId }) => `${traceId} ${spanId}`).sort()
}
