// The command that asks a running service how it is, as the image's HEALTHCHECK does.
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { JWT_SECRET, runMain, startService } from '../support/service.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
})

afterAll(() => database.drop())

async function check(env: Record<string, string | number>, ...options: string[]) {
  const running = await runMain(asText(env), ['healthcheck', ...options])
  let stdout = ''
  running.child.stdout?.on('data', (chunk) => {
    stdout += chunk
  })
  const { code } = await running.exited
  return { code, stdout, stderr: running.stderr() }
}

function asText(env: Record<string, string | number>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]))
}

async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise((closed) => server.close(closed))
  return port
}

/** A port on which something listens that is no service. */
async function listen(server: Server): Promise<number> {
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  return (server.address() as AddressInfo).port
}

test('a service that answers is healthy and ready, whichever address it listens on', async () => {
  const service = await startService(database.url, { SERVER_HOST: '0.0.0.0' })
  const settings = { SERVER_HOST: '0.0.0.0', SERVER_PORT: service.port }
  expect(await check(settings)).toEqual({
    code: 0,
    stdout: '/health was answered with 200\n',
    stderr: '',
  })
  expect(await check(settings, '--ready')).toEqual({
    code: 0,
    stdout: '/ready was answered with 200\n',
    stderr: '',
  })
  await service.stop()
})

test('a service on a unix socket is asked there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-healthcheck-'))
  const settings = { SERVER_HOST: join(folder, 'http.sock'), LISTENERS: '1' }
  const service = await runMain({ DATABASE_URL: database.url, JWT_SECRET, ...settings })
  await service.line(({ msg }) => msg === 'Listening')
  expect((await check(settings, '--ready')).code).toBe(0)
  service.child.kill('SIGTERM')
  await service.exited
  await rm(folder, { recursive: true })
})

test('a service without its database is healthy, and not ready', async () => {
  const settings = { SERVER_HOST: '127.0.0.1', SERVER_PORT: await freePort() }
  const nowhere = { DATABASE_URL: 'postgres://user@127.0.0.1:1/database', JWT_SECRET }
  const service = await runMain({ ...nowhere, ...asText(settings), LISTENERS: '1' })
  await eventually('health', async () => (await check(settings)).code === 0)
  expect(await check(settings, '--ready')).toEqual({
    code: 1,
    stdout: '',
    stderr: '/ready was answered with 503\n',
  })
  service.child.kill('SIGKILL')
})

test('where nothing listens, it says so in one line and exits with 1', async () => {
  const port = await freePort()
  const { code, stderr } = await check({ SERVER_HOST: '127.0.0.1', SERVER_PORT: port })
  expect(code).toBe(1)
  expect(stderr).toBe(`/health was not answered: connect ECONNREFUSED 127.0.0.1:${port}\n`)
})

test('a service that accepts and never answers is not healthy', async () => {
  const server = createServer()
  const port = await listen(server)
  const { code, stderr } = await check({ SERVER_HOST: '127.0.0.1', SERVER_PORT: port })
  expect(code).toBe(1)
  expect(stderr).toBe('/health was not answered: nothing came within 2 s\n')
  server.close()
})
