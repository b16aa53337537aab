// Where the service listens: addresses of both families, names, and unix sockets.
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createClient } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { JWT_SECRET, runMain, startService, type TestProcess } from '../support/service.ts'

const TIMEOUT_MS = 60_000
let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
})

afterAll(async () => {
  await database.drop()
})

function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return process.env.CI === 'true' || addresses.some(({ address }) => address === '::1')
}

/** A start that is expected to fail. */
function start(env: Record<string, string>): Promise<TestProcess> {
  return runMain({ DATABASE_URL: database.url, JWT_SECRET, LISTENERS: '1', ...env })
}

async function healthAt(url: string): Promise<number> {
  return (await createClient(url).get('/health')).status
}

describe.skipIf(!hasIpv6())('an IPv6 address (needs IPv6)', () => {
  test.each(['1', '2'])('is printed in brackets, and answers: %s listeners', async (LISTENERS) => {
    const service = await startService(database.url, { SERVER_HOST: '::1', LISTENERS })
    expect(service.url).toBe(`http://[::1]:${service.port}`)
    expect(await healthAt(service.url)).toBe(200)
    await expect(healthAt(`http://127.0.0.1:${service.port}`)).rejects.toThrow()
    expect((await service.stop()).code).toBe(0)
  })

  test('"::" answers on both families', async () => {
    const service = await startService(database.url, { SERVER_HOST: '::' })
    expect(service.url).toBe(`http://localhost:${service.port}`)
    expect(await healthAt(`http://[::1]:${service.port}`)).toBe(200)
    expect(await healthAt(`http://127.0.0.1:${service.port}`)).toBe(200)
    expect((await service.stop()).code).toBe(0)
  })
})

describe('a host name', () => {
  test('is looked up once, for all listeners', async () => {
    const service = await startService(database.url, { SERVER_HOST: 'localhost', LISTENERS: '2' })
    expect(service.url).toBe(`http://localhost:${service.port}`)
    expect(await healthAt(`http://127.0.0.1:${service.port}`)).toBe(200)
    expect((await service.stop()).code).toBe(0)
  })

  test.each([
    ['no-such-host.invalid', /Cannot listen on no-such-host\.invalid:80\d\d: .*name/],
    ['203.0.113.1', /Cannot listen on 203\.0\.113\.1:80\d\d: this machine does not have/],
  ])('or address that is not of this machine is a clear error: %s', async (host, message) => {
    const running = await start({ SERVER_HOST: host, SERVER_PORT: '8099' })
    expect(await running.exited).toEqual({ code: 1, signal: null })
    expect(running.stderr()).toMatch(message)
  })
})

describe('a unix socket', () => {
  let folder: string
  let path: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskapi-socket-'))
    path = join(folder, 'http.sock')
  })

  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  /** The status of an answer; each request has a connection of its own. */
  async function ask(target = '/health', headers: Record<string, string> = {}): Promise<number> {
    const outgoing = request({ socketPath: path, path: target, headers, agent: false })
    outgoing.end()
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    incoming.resume()
    return incoming.statusCode ?? 0
  }

  test('answers, admits its user and group, and leaves no file behind', async () => {
    const service = await startService(database.url, { SERVER_HOST: `unix:${path}` })
    expect(service.url).toBe(`unix:${path}`)
    expect(await ask()).toBe(200)
    expect((await stat(path)).mode & 0o777).toBe(0o660)
    expect(await service.stop()).toEqual({ code: 0, signal: null })
    expect(existsSync(path)).toBe(false)
  })

  test('that a killed process has left is replaced', async () => {
    const first = await startService(database.url, { SERVER_HOST: path })
    first.child.kill('SIGKILL')
    await first.exited
    expect(existsSync(path)).toBe(true)
    const second = await startService(database.url, { SERVER_HOST: path })
    expect(await ask()).toBe(200)
    expect((await second.stop()).code).toBe(0)
  })

  test(
    'of another copy is refused, and the other goes on',
    async () => {
      const service = await startService(database.url, { SERVER_HOST: path })
      const second = await start({ SERVER_HOST: path })
      expect((await second.exited).code).toBe(1)
      expect(second.stderr()).toContain(
        `Cannot listen on ${path}: another program, or another copy`,
      )
      expect(await ask()).toBe(200)
      expect((await service.stop()).code).toBe(0)
    },
    TIMEOUT_MS,
  )

  test('of another program is refused, and goes on', async () => {
    const other = createServer((_, response) => response.writeHead(299).end()).listen(path)
    await once(other, 'listening')
    const running = await start({ SERVER_HOST: path })
    expect((await running.exited).code).toBe(1)
    expect(running.stderr()).toContain(`Cannot listen on ${path}: another program`)
    expect(await ask()).toBe(299)
    other.close()
  })

  test('does not replace a file, and needs its folder', async () => {
    await writeFile(path, 'precious')
    const running = await start({ SERVER_HOST: path })
    expect((await running.exited).code).toBe(1)
    expect(running.stderr()).toContain('a file of that name that is not a socket')
    expect(await readFile(path, 'utf8')).toBe('precious')
    const elsewhere = await start({ SERVER_HOST: join(folder, 'missing', 'http.sock') })
    expect((await elsewhere.exited).code).toBe(1)
    expect(elsewhere.stderr()).toContain('its folder does not exist')
  })

  test('has proxies as peers: no share of connections, and the clients that they name', async () => {
    const service = await startService(database.url, {
      SERVER_HOST: path,
      MAX_CONNECTIONS_PER_CLIENT: '1',
      RATE_LIMIT: '2/h',
    })
    const held = Array.from({ length: 5 }, () => connect(path))
    await Promise.all(held.map((socket) => once(socket, 'connect')))
    const from = (client: string) => ask('/api/v1/tasks', { 'x-forwarded-for': client })
    const statuses = [await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.1')]
    expect(statuses).toEqual([401, 401, 429])
    expect(await from('192.0.2.2')).toBe(401)
    expect(held.some(({ closed }) => closed)).toBe(false)
    for (const socket of held) socket.destroy()
    expect((await service.stop()).code).toBe(0)
  })
})
