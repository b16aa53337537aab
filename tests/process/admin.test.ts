// The admin port of real processes: probes, refusals, and what an operator may look into.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Client, createClient, eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { JWT_SECRET, runMain, startService, type TestService } from '../support/service.ts'

const PATIENCE_MS = 60_000

let database: TestDatabase | undefined
let service: TestService | undefined
let other: Server | undefined

afterEach(async () => {
  await service?.stop()
  await database?.drop()
  other?.close()
  service = undefined
  database = undefined
  other = undefined
})

async function start(
  env: Record<string, string>,
): Promise<{ service: TestService; admin: Client }> {
  database = await createDatabase()
  service = await startService(database.url, { ADMIN_PORT: '0', ...env })
  const { url } = await service.line(({ msg }) => msg === 'Admin port is open')
  return { service, admin: createClient(String(url)) }
}

/** Starts the service in vain. */
async function refusal(
  env: Record<string, string>,
): Promise<{ code: number | null; text: string }> {
  const running = await runMain({
    DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
    JWT_SECRET,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: '0',
    LISTENERS: '1',
    ...env,
  })
  const { code } = await running.exited
  return { code, text: running.stderr() }
}

test('without ADMIN_PORT there is no admin port', async () => {
  database = await createDatabase()
  service = await startService(database.url)
  expect(service.lines.map(({ msg }) => msg)).not.toContain('Admin port is open')
})

for (const LISTENERS of ['1', '2']) {
  test(`${LISTENERS} listener(s): the probes say what /ready says`, async () => {
    const { service: running, admin } = await start({ LISTENERS })
    const client = createClient(running.url)
    expect(await admin.get('/livez')).toMatchObject({ status: 200, body: 'ok\n' })
    const isReady = async () => (await admin.get('/readyz')).status === 200
    await eventually('readiness', isReady, PATIENCE_MS)
    expect((await client.get('/ready')).status).toBe(200)
    await database?.drop()
    database = undefined
    await eventually('the outage', async () => !(await isReady()), PATIENCE_MS)
    await eventually(
      'the outage to clients',
      async () => (await client.get('/ready')).status === 503,
      PATIENCE_MS,
    )
    expect((await admin.get('/livez')).status).toBe(200)
  })
}

test('what it does not have is refused', async () => {
  const { admin } = await start({})
  const unknown = await admin.get('/metric')
  expect(unknown.status).toBe(404)
  expect(unknown.body).toBe('Not found; there is /livez, /readyz, /metrics, /log-level\n')
  const posted = await admin.post('/metrics', {})
  expect(posted.status).toBe(405)
  expect(posted.headers.get('allow')).toBe('GET, HEAD')
  expect((await admin.request('HEAD', '/metrics')).body).toBe('')
  for (const path of ['/debug/heap', '/debug/heap?snapshot', '/debug/profile?seconds=1']) {
    expect((await admin.get(path)).status, path).toBe(404)
  }
})

test('a port that cannot be had ends the start, and says which setting helps', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  other = server
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const taken = await refusal({ ADMIN_PORT: String(port) })
  expect(taken).toMatchObject({ code: 1 })
  expect(taken.text).toContain(`Cannot open the admin port on 127.0.0.1:${port}`)
  expect(taken.text).toContain('set ADMIN_PORT to a free port')
  const elsewhere = await refusal({ ADMIN_PORT: '0', ADMIN_HOST: '192.0.2.1' })
  expect(elsewhere).toMatchObject({ code: 1 })
  expect(elsewhere.text).toContain('set ADMIN_HOST to one that it has')
  const wrong = await refusal({ ADMIN_PORT: '65536', ADMIN_HOST: '/run/admin.sock' })
  expect(wrong).toMatchObject({ code: 78 })
  expect(wrong.text).toContain('ADMIN_PORT is "65536", expected an integer from 0 to 65535')
  expect(wrong.text).toContain(
    'ADMIN_HOST is "/run/admin.sock", expected an address or a host name',
  )
})

for (const LISTENERS of ['1', '2']) {
  test(`${LISTENERS} listener(s): an operator may look into one with ADMIN_DEBUG`, async () => {
    const TMPDIR = await mkdtemp(join(tmpdir(), 'taskapi-admin-'))
    const { admin } = await start({ LISTENERS, ADMIN_DEBUG: 'on', TMPDIR })
    const heap = await admin.get(`/debug/heap?listener=${LISTENERS}`)
    expect(heap.status).toBe(200)
    expect(heap.body.used_heap_size).toBeGreaterThan(1_000_000)
    expect(heap.body.spaces).toBeInstanceOf(Array)

    const [profile, second] = await Promise.all([
      admin.get(`/debug/profile?seconds=1&listener=${LISTENERS}`),
      LISTENERS === '2' ? admin.get('/debug/heap') : undefined,
    ])
    expect(profile.status).toBe(200)
    expect(profile.headers.get('content-disposition')).toContain('.cpuprofile')
    expect(profile.body.nodes.length).toBeGreaterThan(1)
    expect(second?.body ?? '').not.toContain('spaces')

    const snapshot = await admin.get('/debug/heap?snapshot')
    expect(snapshot.status, String(snapshot.body).slice(0, 100)).toBe(200)
    expect(snapshot.body.snapshot.node_count).toBeGreaterThan(1000)
    expect((await admin.get('/debug/profile?seconds=61')).status).toBe(400)
    expect((await admin.get('/debug/profile?seconds=x')).status).toBe(400)
    expect(await admin.get('/debug/heap?listener=3')).toMatchObject({
      status: 503,
      body: 'There is no such listener\n',
    })
    const isEmpty = async () => (await readdir(TMPDIR)).length === 0
    await eventually('the removal of all files', isEmpty, PATIENCE_MS)
    await rm(TMPDIR, { recursive: true })
  })
}
