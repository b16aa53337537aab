import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createClient, register, sendRaw } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { readMetrics } from '../support/metrics.ts'
import { startCollector } from '../support/otlp.ts'
import { JWT_SECRET, runMain, startService } from '../support/service.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BUNDLE = `${ROOT}dist/server/main.cjs`

let database: TestDatabase
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskapi-bundle-'))
  execFileSync(process.execPath, [`${ROOT}build/bundle.ts`], { stdio: 'pipe' })
  database = await createDatabase({ empty: true })
})

afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

test('no value that one file of the bundle takes from another goes through a getter', () => {
  const files = readdirSync(join(BUNDLE, '..'))
  expect(files.length).toBeGreaterThan(1)
  const slow = files.filter((file) =>
    /defineProperty\(exports,"(?!__esModule)/.test(readFileSync(join(BUNDLE, '..', file), 'utf8')),
  )
  expect(slow).toEqual([])
})

test.each(['1', '2'])('the bundle serves the API with %s listeners', async (LISTENERS) => {
  const service = await startService(database.url, { LISTENERS }, BUNDLE)
  const client = createClient(service.url)
  const { email, password, token } = await register(client)
  expect((await client.post('/api/v1/auth/login', { email, password })).status).toBe(200)
  for (let count = 0; count < 10; count += 1) {
    const { status } = await client.post('/api/v1/tasks', { title: `Task ${count}` }, { token })
    expect(status).toBe(201)
  }
  expect((await client.get('/api/v1/tasks', { token })).body).toHaveLength(10)
  expect((await client.post('/api/v1/tasks', { title: '' }, { token })).body.code).toBe(
    'invalid_request',
  )
  expect((await client.get('/api/v1/tasks', { token: `${token}x` })).status).toBe(401)
  expect((await client.get('/openapi.json')).body.openapi).toBe('3.1.0')
  expect(await service.stop()).toEqual({ code: 0, signal: null })
})

test('the bundle shows its metrics, and lets an operator look into it', async () => {
  const env = { LISTENERS: '2', ADMIN_PORT: '0', ADMIN_DEBUG: 'on' }
  const service = await startService(database.url, env, BUNDLE)
  const { url } = await service.line(({ msg }) => msg === 'Admin port is open')
  const metrics = await readMetrics(String(url))
  expect(metrics.sum('taskapi_build_info')).toBe(2)
  const admin = createClient(String(url))
  for (const page of ['heap', 'profile?seconds=0.1&listener=2']) {
    expect((await admin.get(`/debug/${page}`)).status, page).toBe(200)
  }
  await service.stop()
})

test('the bundle exports traces, with packages that are no part of what every start loads', async () => {
  const collector = await startCollector()
  const service = await startService(
    database.url,
    { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    BUNDLE,
  )
  const { trace_id: id } = (await createClient(service.url).get('/nowhere')).body
  await service.stop()
  expect(collector.spans).toMatchObject([{ name: 'GET', traceId: id, parentId: '' }])
  await collector.close()
  const holders = readdirSync(`${ROOT}dist/server`).filter((file) =>
    readFileSync(`${ROOT}dist/server/${file}`, 'utf8').includes('OTLPExporterError'),
  )
  expect(holders).toEqual(['traces.cjs'])
})

test('the bundle compresses large answers', async () => {
  const service = await startService(database.url, {}, BUNDLE)
  const answer = await sendRaw(
    service.port,
    'GET /openapi.json HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n',
  )
  expect(answer).toContain('content-encoding: gzip')
  const body = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1')
  expect(JSON.parse(gunzipSync(body).toString()).info.title).toBe('taskapi')
  await service.stop()
})

test('the bundle encrypts its connections to PostgreSQL when the URL asks for it', async () => {
  // A server that agrees to TLS (PostgreSQL's protocol, SSLRequest) and keeps what comes next.
  const { promise: hello, resolve } = Promise.withResolvers<Buffer>()
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write('S')
      socket.once('data', resolve)
    })
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const { port } = server.address() as AddressInfo
  const settings = {
    DATABASE_URL: `postgres://user:password@127.0.0.1:${port}/database?sslmode=require`,
    JWT_SECRET: 'x'.repeat(32),
    LISTENERS: '1',
    SERVER_PORT: '0',
  }
  const running = await runMain(settings, [], BUNDLE)
  const [contentType, major] = await hello
  // RFC 8446, 5.1: a handshake record.
  expect([contentType, major]).toEqual([22, 3])
  running.child.kill('SIGKILL')
  server.close()
})

test('a stack that the bundle logs names the functions of the sources', async () => {
  // No start expects this to fail, so there is a stack.
  const fault = 'require("node:net").createServer = () => { throw new Error("a fault") }'
  const file = join(folder, 'fault.cjs')
  await writeFile(file, fault)
  const settings = { DATABASE_URL: database.url, JWT_SECRET, SERVER_HOST: '127.0.0.1' }
  const env = { ...settings, SERVER_PORT: '0', NODE_OPTIONS: `--require ${file}` }
  const running = await runMain(env, [], BUNDLE)
  const { err } = await running.line(({ msg }) => msg === 'Cannot start')
  expect(err).toMatchObject({
    message: expect.stringContaining('a fault'),
    stack: expect.stringMatching(
      / at (async )?(Object\.)?takePlace (\[as \w+\] )?\(.* at async startService \(/s,
    ),
  })
  expect((await running.exited).code).toBe(1)
})

test('the bundle does not serve sources', async () => {
  const running = await runMain({}, ['dev'], BUNDLE)
  expect(await running.exited).toEqual({ code: 1, signal: null })
  expect(running.stderr()).toContain('fix: npm run dev')
})

test('the bundle has the commands', async () => {
  const running = await runMain({}, ['--help'], BUNDLE)
  let text = ''
  running.child.stdout?.on('data', (chunk) => {
    text += chunk
  })
  expect(await running.exited).toEqual({ code: 0, signal: null })
  expect(text).toContain('migrate')
  expect(text).toContain('DATABASE_URL')
})
