import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { startEmbedded } from '../../src/db/local/postgres.ts'
import { migrate } from '../../src/db/migrate.ts'
import { createClient, eventually, register, sendRaw } from '../support/client.ts'
import { createDatabase, MIGRATIONS, type TestDatabase } from '../support/database.ts'
import { startLoad } from '../support/load.ts'
import { JWT_SECRET, runMain, startService } from '../support/service.ts'

const CLIENTS = 24
let database: TestDatabase

/** A connection whose last request has been answered. */
async function openKept(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  return socket
}

/** A connection whose client has been asked for the body of its request, and does not send it. */
async function openUnfinished(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(
    'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\nExpect: 100-continue\r\n\r\n',
  )
  await once(socket, 'data')
  return socket
}

beforeAll(async () => {
  database = await createDatabase()
})

afterAll(async () => {
  await database.drop()
})

describe('a drain', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('at %s under load fails no request', async (signal) => {
    const service = await startService(database.url, {
      LISTENERS: '2',
      SHUTDOWN_TIMEOUT_MS: '15000',
    })
    const { token } = await register(createClient(service.url))
    const load = startLoad(service.url, CLIENTS, { path: '/api/v1/tasks', token })
    await eventually('load', () => (load.outcome.answered.get(200) ?? 0) > 500)
    service.child.kill(signal)
    expect(await service.exited).toEqual({ code: 0, signal: null })
    const { answered, failures, closes, refused } = await load.stop()
    expect(failures).toEqual([])
    expect([...answered.keys()]).toEqual([200])
    expect(closes).toBeGreaterThan(0)
    expect(refused).toBe(CLIENTS)
  })

  test('lets clients that pause between their requests read in an answer that it closes', async () => {
    const service = await startService(database.url, { SHUTDOWN_TIMEOUT_MS: '15000' })
    const load = startLoad(service.url, CLIENTS, { path: '/health', pauseMs: 100 })
    await eventually('load', () => (load.outcome.answered.get(200) ?? 0) > 2 * CLIENTS)
    expect(await service.stop()).toEqual({ code: 0, signal: null })
    const { failures, closes } = await load.stop()
    expect(failures).toEqual([])
    expect(closes).toBe(CLIENTS)
  })

  test('fails readiness and lets a login that is in flight finish', async () => {
    const service = await startService(database.url, {
      SHUTDOWN_TIMEOUT_MS: '15000',
      DRAIN_DELAY_MS: '700',
    })
    const client = createClient(service.url)
    const { email, password } = await register(client)
    const logins = Array.from({ length: 4 }, () =>
      client.post('/api/v1/auth/login', { email, password }),
    )
    await new Promise((resolve) => setTimeout(resolve, 30))
    service.child.kill('SIGTERM')
    await service.line(({ msg }) => msg === 'Draining')
    const ready = await client.get('/ready')
    expect(ready.status).toBe(503)
    expect(ready.headers.get('retry-after')).toBe('1')
    expect(ready.body.error).toContain('draining')
    expect((await client.get('/health')).status).toBe(200)
    for (const { status } of await Promise.all(logins)) expect(status).toBe(200)
    expect((await service.exited).code).toBe(0)
  })

  test('asks a kept connection to close', async () => {
    const service = await startService(database.url, { SHUTDOWN_TIMEOUT_MS: '15000' })
    const unfinished = await openUnfinished(service.port)
    const socket = connect(service.port, '127.0.0.1')
    socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk
    })
    await eventually('the first answer', () => received.endsWith('{"status":"ok"}'))
    expect(received.toLowerCase()).not.toContain('connection: close')
    // One more request may be on its way when the connection ends.
    socket.on('error', () => undefined)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    service.child.kill('SIGTERM')
    await service.line(({ msg }) => msg === 'Draining')
    // Until connections are refused, the answers are as before.
    await eventually('an answer that closes', () => {
      socket.write('GET /ready HTTP/1.1\r\nHost: x\r\n\r\n')
      return received.toLowerCase().includes('connection: close')
    })
    await closed
    expect(received).toMatch(/HTTP\/1\.1 503 /)
    unfinished.destroy()
    expect((await service.exited).code).toBe(0)
  })

  test('does not wait for an idle connection', async () => {
    const service = await startService(database.url, { SHUTDOWN_TIMEOUT_MS: '60000' })
    const idle = await openKept(service.port)
    const closed = once(idle, 'close')
    expect(await service.stop()).toEqual({ code: 0, signal: null })
    // Without a reset.
    expect(await closed).toEqual([false])
    // Otherwise it was the timer of uWebSockets.js.
    const line = await service.line(({ msg }) => msg === 'Closed idle connections')
    expect(line.connections).toBe(1)
  })

  test('is cut short by a second signal and then ends with 1', async () => {
    const service = await startService(database.url, {
      LISTENERS: '2',
      SHUTDOWN_TIMEOUT_MS: '60000',
    })
    const unfinished = await openUnfinished(service.port)
    service.child.kill('SIGTERM')
    await service.line(({ msg }) => msg === 'Draining')
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(service.child.exitCode).toBe(null)
    service.child.kill('SIGTERM')
    expect(await service.exited).toEqual({ code: 1, signal: null })
    unfinished.destroy()
  })

  test('that misses its deadline while a request is unanswered ends with 1', async () => {
    const service = await startService(database.url, {
      SHUTDOWN_TIMEOUT_MS: '300',
      REQUEST_TIMEOUT_MS: '60000',
    })
    const half = sendRaw(
      service.port,
      'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
      10_000,
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await service.stop()).toEqual({ code: 1, signal: null })
    expect(await half).toBe('')
  })
})

describe('a listener', () => {
  test('that is killed under load is replaced, and only requests in flight fail', async () => {
    const service = await startService(database.url, { LISTENERS: '2' })
    const { token } = await register(createClient(service.url))
    const load = startLoad(service.url, CLIENTS, { path: '/api/v1/tasks', token })
    await eventually('load', () => (load.outcome.answered.get(200) ?? 0) > 300)
    const up = () => service.lines.filter(({ msg }) => msg === 'Listener is up')
    const victim = up()[0]?.pid ?? 0
    process.kill(victim, 'SIGKILL')
    await service.line(
      ({ msg, listener_pid }) => msg.startsWith('Listener died') && listener_pid === victim,
    )
    await eventually('a new listener', () => up().length === 3)
    const before = load.outcome.answered.get(200) ?? 0
    await eventually('more answers', () => (load.outcome.answered.get(200) ?? 0) > before + 300)
    const { answered, failures } = await load.stop()
    expect([...answered.keys()]).toEqual([200])
    expect(failures.length).toBeLessThanOrEqual(CLIENTS)
    expect(await service.stop()).toEqual({ code: 0, signal: null })
  })

  test('that is killed again and again is replaced at once', async () => {
    const service = await startService(database.url, { LISTENERS: '2' })
    const deaths = () => service.lines.filter(({ msg }) => msg.startsWith('Listener died'))
    for (let round = 1; round <= 4; round += 1) {
      const ups = service.lines.filter(({ msg }) => msg === 'Listener is up')
      process.kill(ups.at(-1)?.pid ?? 0, 'SIGKILL')
      await eventually('its death', () => deaths().length === round)
      await eventually('the next', () => {
        return service.lines.filter(({ msg }) => msg === 'Listener is up').length === 2 + round
      })
    }
    expect(deaths().map(({ delay_ms }) => delay_ms)).toEqual([0, 0, 0, 0])
    expect((await service.stop()).code).toBe(0)
  })
})

test('a listener that does not respond is killed and replaced, and the others go on', async () => {
  const service = await startService(database.url, { LISTENERS: '2' })
  const victim = (await service.line(({ msg }) => msg === 'Listener is up')).pid
  process.kill(victim, 'SIGSTOP')
  const silent = () =>
    service.lines.filter(({ msg }) => msg.startsWith('Listener does not respond'))
  await eventually('its death', () => silent().length > 0, 30_000)
  await eventually('a new listener', () => {
    return service.lines.filter(({ msg }) => msg === 'Listener is up').length === 3
  })
  // The other has beaten all the time.
  expect(silent().map(({ listener_pid }) => listener_pid)).toEqual([victim])
  expect((await service.stop()).code).toBe(0)
}, 60_000)

describe('limits', () => {
  test('connections over the limit are closed, and the others are served', async () => {
    const service = await startService(database.url, {
      MAX_CONNECTIONS: '5',
      MAX_CONNECTIONS_PER_CLIENT: '5',
    })
    const sockets = Array.from({ length: 12 }, () => {
      const socket = connect(service.port, '127.0.0.1')
      socket.on('error', () => undefined)
      return socket
    })
    const open = () => sockets.filter((socket) => !socket.destroyed && socket.readyState === 'open')
    await service.line(({ msg }) => msg.startsWith('Connection limit'))
    await eventually('the surplus to be closed', () => open().length === 5)
    const survivor = open()[0]
    survivor?.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
    const data = await new Promise((resolve) => survivor?.once('data', resolve))
    expect(String(data)).toMatch(/^HTTP\/1\.1 200 /)
    for (const socket of sockets) socket.destroy()
    await eventually('room again', async () => {
      const answer = await sendRaw(service.port, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n', 100)
      return answer.startsWith('HTTP/1.1 200')
    })
    expect((await service.stop()).code).toBe(0)
  })

  test('a client that fills the password queue gets 429 with Retry-After, and reads go on', async () => {
    const service = await startService(database.url, { PASSWORD_QUEUE: '2' })
    const client = createClient(service.url)
    const { email, password, token } = await register(client)
    const logins = await Promise.all(
      Array.from({ length: 16 }, () => client.post('/api/v1/auth/login', { email, password })),
    )
    const shed = logins.filter(({ status }) => status === 429)
    expect(logins.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2)
    expect(shed.length).toBeGreaterThan(0)
    for (const { headers, body } of shed) {
      expect(headers.get('retry-after')).toBe('1')
      expect(body.code).toBe('too_many_requests')
    }
    expect((await client.get('/api/v1/tasks', { token })).status).toBe(200)
    expect((await service.stop()).code).toBe(0)
  })

  test('a list of origins narrows CORS', async () => {
    const origins = 'https://app.example.com, http://localhost:3000'
    const service = await startService(database.url, { CORS_ORIGINS: origins })
    const client = createClient(service.url)
    const from = (origin: string) => client.get('/health', { headers: { origin } })
    const allowed = await from('http://localhost:3000')
    expect(allowed.headers.get('access-control-allow-origin')).toBe('http://localhost:3000')
    expect(allowed.headers.get('vary')).toContain('Origin')
    const refused = await from('https://evil.example.com')
    expect(refused.headers.has('access-control-allow-origin')).toBe(false)
    expect(refused.headers.get('vary')).toContain('Origin')
    await service.stop()
  })
})

test('a statement that waits too long is answered 503 in time, and the service goes on', async () => {
  // Hashing a password may take longer than that limit on a busy machine.
  const patient = await startService(database.url)
  const { token } = await register(createClient(patient.url))
  await patient.stop()
  const service = await startService(database.url, { REQUEST_TIMEOUT_MS: '400' })
  const client = createClient(service.url)
  const id = (await client.post('/api/v1/tasks', { title: 'x' }, { token })).body.id
  const locked = database.query('begin; lock table tasks; select pg_sleep(2); commit')
  await eventually(
    'the lock',
    async () => (await client.get(`/api/v1/tasks/${id}`, { token })).status === 503,
  )
  const late = await client.patch(`/api/v1/tasks/${id}`, { title: 'y' }, { token })
  expect(late.status).toBe(503)
  expect(late.body.code).toBe('deadline_exceeded')
  expect(late.headers.get('retry-after')).toBe('1')
  expect((await client.get('/health')).status).toBe(200)
  await locked
  await eventually(
    'reads',
    async () => (await client.get(`/api/v1/tasks/${id}`, { token })).status === 200,
  )
  expect((await service.stop()).code).toBe(0)
})

test('statements over the queue limit are shed with 503', async () => {
  const service = await startService(database.url, { DB_QUEUE: '4' })
  const client = createClient(service.url)
  const { token } = await register(client)
  const answers = await Promise.all(
    Array.from({ length: 64 }, () => client.get('/api/v1/tasks', { token })),
  )
  const statuses = new Set(answers.map(({ status }) => status))
  expect([...statuses].sort()).toEqual([200, 503])
  const shed = answers.find(({ status }) => status === 503)
  expect(shed?.body.code).toBe('overloaded')
  expect((await client.get('/api/v1/tasks', { token })).status).toBe(200)
  expect((await service.stop()).code).toBe(0)
  // The log has the first of a second and how many it stands for, without a stack: overload is no fault of the code.
  const lines = service.lines.filter(({ msg }) => msg === 'Request failed')
  const counted = lines.reduce((sum, { repeats }) => sum + Number(repeats ?? 1), 0)
  expect(counted).toBe(answers.filter(({ status }) => status === 503).length)
  expect(lines.length).toBeLessThan(5)
  expect(lines[0]).toMatchObject({ level: 'warn', code: 'overloaded' })
  expect(lines[0]?.reason).toMatchObject({ type: 'DatabaseOverloadedError' })
  expect(JSON.stringify(lines)).not.toContain('.ts')
})

test('refusals that wait for others all come, and their connections go on', async () => {
  const service = await startService(database.url, { DB_QUEUE: '4' })
  const client = createClient(service.url)
  const { token } = await register(client)
  const create = () => client.post('/api/v1/tasks', { title: 'one of many' }, { token })
  // More than go out at once.
  const first = await Promise.all(Array.from({ length: 1000 }, create))
  const refused = first.filter(({ status }) => status === 503)
  expect(refused.length).toBeGreaterThan(500)
  expect(new Set(refused.map(({ headers }) => headers.get('retry-after')))).toEqual(new Set(['1']))
  expect(first.filter(({ status }) => status === 201).length).toBe(1000 - refused.length)
  await eventually('an answer to one who asks again', async () => (await create()).status === 201)
  expect((await service.stop()).code).toBe(0)
})

test('while reads are late, requests are turned away at once, /health is served, and all is well afterwards', async () => {
  const service = await startService(database.url)
  const client = createClient(service.url)
  const { token } = await register(client)
  const id = (await client.post('/api/v1/tasks', { title: 'x' }, { token })).body.id
  const path = `/api/v1/tasks/${id}`
  await database.query('begin; lock table tasks in access exclusive mode')
  const held = Array.from({ length: 400 }, () => client.get(path, { token }))
  await eventually('requests to be turned away', async () => {
    const answers = [client.get(path, { token }), client.get('/api/v1/tasks', { token })]
    const late = new Promise<'late'>((resolve) => setTimeout(resolve, 1000, 'late'))
    const codes = await Promise.all(
      answers.map(async (answer) => {
        const first = await Promise.race([answer, late])
        return first === 'late' ? first : first.body.code
      }),
    )
    return codes.every((code) => code === 'overloaded')
  })
  expect((await client.get('/health')).status).toBe(200)
  await database.query('commit')
  const statuses = (await Promise.all(held)).map(({ status }) => status)
  // Two batches are taken in all cases; where it takes long to send the rest, reads are late before all have come.
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(256)
  expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([])
  expect((await client.get(path, { token })).status).toBe(200)
  expect((await service.stop()).code).toBe(0)
})

test('a database that never answers ends the start with 1 and an error that names the limit', async () => {
  const running = await runMain({
    DATABASE_URL: 'postgres://nobody:secretword@127.0.0.1:1/none',
    JWT_SECRET,
    SERVER_PORT: '0',
    STARTUP_TIMEOUT_MS: '1000',
  })
  expect(await running.exited).toEqual({ code: 1, signal: null })
  expect(running.stderr()).toContain('Cannot reach PostgreSQL within 1000 ms')
  expect(running.stderr() + JSON.stringify(running.lines)).not.toContain('secretword')
})

test.each(['1', '2'])(
  'a stop while %s listeners wait for a database ends with 0',
  async (LISTENERS) => {
    // A server that hangs up on everyone, and records that somebody has tried.
    const { promise: tried, resolve } = Promise.withResolvers<void>()
    const server = createServer((socket) => {
      socket.destroy()
      resolve()
    })
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    const { port } = server.address() as AddressInfo
    const running = await runMain({
      DATABASE_URL: `postgres://user:password@127.0.0.1:${port}/database`,
      JWT_SECRET,
      LISTENERS,
      SERVER_PORT: '0',
      STARTUP_TIMEOUT_MS: '600000',
    })
    await tried
    running.child.kill('SIGTERM')
    expect(await running.exited).toEqual({ code: 0, signal: null })
    server.close()
  },
)

test('without a database, the service answers 503 that says so, and recovers without a restart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-outage-'))
  const options = { folder, database: 'outage', timeoutMs: 30_000 }
  let postgres = await startEmbedded(options)
  await migrate({
    address: readAddress(postgres.url),
    folder: MIGRATIONS,
    timeoutMs: 10_000,
    onApplied: () => undefined,
  })
  const socketFolder = new URL(postgres.url).searchParams.get('host') ?? ''
  const service = await startService(postgres.url, { LISTENERS: '1', REQUEST_TIMEOUT_MS: '2000' })
  const client = createClient(service.url)
  const { token } = await register(client)
  expect((await client.get('/ready')).status).toBe(200)

  await postgres.stop()
  await eventually('readiness to fail', async () => (await client.get('/ready')).status === 503)
  for (let round = 0; round < 5; round += 1) {
    const answer = await client.get('/api/v1/tasks', { token })
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('1')
    expect(answer.body.error).not.toMatch(/socket|postgres|ENOENT|connect/i)
  }
  expect((await client.get('/health')).status).toBe(200)

  postgres = await startEmbedded({ ...options, socketFolder })
  await eventually('readiness', async () => (await client.get('/ready')).status === 200)
  expect((await client.post('/api/v1/tasks', { title: 'back' }, { token })).status).toBe(201)
  expect((await service.stop()).code).toBe(0)
  await postgres.stop()
  await rm(folder, { recursive: true })
}, 60_000)
