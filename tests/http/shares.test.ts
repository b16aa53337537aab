import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, eventually, register } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startService, type TestService } from '../support/service.ts'

const MAX = 40
const HEALTH = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'
let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
})

afterAll(async () => {
  await database.drop()
})

let clients = 100

/** One that no other test has used. */
function newClient(): number {
  clients += 1
  return clients
}

function addressOf(client: number): string {
  return `127.0.0.${client}`
}

/** A connection from an address of this machine; everything in 127.0.0.0/8 is one. */
async function connectFrom(port: number, client: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: addressOf(client) })
  socket.on('error', () => undefined)
  await new Promise((resolve) => {
    socket.once('connect', resolve)
    socket.once('close', resolve)
  })
  return socket.resume()
}

function connectMany(port: number, client: number, count: number): Promise<Socket[]> {
  return Promise.all(Array.from({ length: count }, () => connectFrom(port, client)))
}

/** Connections that are all taken, as soon as those of earlier tests have ended. */
async function occupy(port: number, client: number, count: number): Promise<Socket[]> {
  let sockets: Socket[] = []
  await eventually(`${count} connections to be taken`, async () => {
    sockets = await connectMany(port, client, count)
    await delay(50)
    if (open(sockets).length === count) return true
    for (const socket of sockets) socket.destroy()
    return false
  })
  return sockets
}

function open(sockets: Socket[]): Socket[] {
  return sockets.filter((socket) => !socket.destroyed && socket.readyState === 'open')
}

/** The status of an answer over a new connection; 0 when it is closed without one. */
async function ask(port: number, client: number): Promise<number> {
  const socket = await connectFrom(port, client)
  const first = await new Promise((resolve) => {
    socket.once('data', resolve)
    socket.once('close', resolve)
    socket.write(HEALTH)
  })
  socket.resetAndDestroy()
  return Number(/^HTTP\/1\.1 (\d+)/.exec(String(first))?.[1] ?? 0)
}

interface Post {
  client: number
  headers?: Record<string, string>
}

/** Posts from an address over a connection of its own. */
async function post(port: number, path: string, body: object, { client, headers = {} }: Post) {
  const agent = new Agent({ localAddress: addressOf(client) })
  const sent = request({ port, host: '127.0.0.1', path, method: 'POST', agent, headers })
  sent.setHeader('content-type', 'application/json')
  sent.end(JSON.stringify(body))
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const piece of answer) text += piece
  return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(text) }
}

describe('connections', () => {
  const share = MAX / 4
  let service: TestService

  beforeAll(async () => {
    service = await startService(database.url, {
      MAX_CONNECTIONS: String(MAX),
      TRUSTED_PROXIES: addressOf(9),
    })
  })

  afterAll(async () => {
    await service.stop()
  })

  test('silent connections of one client leave room for others', async () => {
    const flood = await connectMany(service.port, 2, MAX + 10)
    await eventually('the surplus to be closed', () => open(flood).length === share)
    const line = await service.line(({ msg }) => msg.startsWith('Client has its share'))
    expect(line).toMatchObject({ level: 'warn', client: addressOf(2) })
    expect(await ask(service.port, 2)).toBe(0)
    for (let client = 10; client < 30; client += 1) {
      expect(await ask(service.port, client)).toBe(200)
    }
    for (const socket of flood) socket.destroy()
  })

  test('few clients that want everything leave room for newcomers', async () => {
    const floods = await Promise.all(
      [2, 3, 4, 5, 6].map((client) => connectMany(service.port, client, MAX)),
    )
    await eventually('the surplus to be closed', () => open(floods.flat()).length < MAX)
    expect(await ask(service.port, 30)).toBe(200)
    for (const socket of floods.flat()) socket.destroy()
  })

  test('a trusted proxy may have all connections', async () => {
    for (const socket of await occupy(service.port, 9, MAX)) socket.destroy()
  })

  test.each<[string, (socket: Socket) => void]>([
    ['are reset', (socket) => socket.resetAndDestroy()],
    ['are closed', (socket) => socket.end()],
    [
      'are reset after an answer',
      (socket) => after(socket, HEALTH, () => socket.resetAndDestroy()),
    ],
    ['are closed after an answer', (socket) => after(socket, HEALTH, () => socket.end())],
    [
      'are closed by the service',
      (socket) => after(socket, HEALTH.replace('x', 'x\r\nConnection: close'), () => undefined),
    ],
    ['send no HTTP', (socket) => socket.write('\0\r\n\r\n')],
  ])(
    'connections that %s are counted no more',
    async (_, end) => {
      // While these are open, another client may have nine.
      const others = await occupy(service.port, newClient(), share - 2)
      const client = newClient()
      for (let round = 0; round < 6; round += 1) {
        for (const socket of others) socket.write(HEALTH)
        const sockets = await occupy(service.port, client, 5)
        for (const socket of sockets) end(socket)
        await eventually('the connections to end', () => open(sockets).length === 0)
      }
      expect(open(others)).toHaveLength(share - 2)
      for (const socket of others) socket.destroy()
    },
    60_000,
  )

  test('connections that time out are counted no more', async () => {
    const client = newClient()
    const sockets = await occupy(service.port, client, share - 2)
    for (const socket of sockets.slice(0, 3)) socket.write('GET /health HT')
    for (const socket of sockets.slice(3, 6)) socket.write(HEALTH)
    await eventually('them to end', () => open(sockets).length === 0, 20_000)
    const others = await occupy(service.port, newClient(), share - 2)
    const again = await occupy(service.port, client, 5)
    for (const socket of again) socket.destroy()
    for (const socket of others) socket.destroy()
  }, 60_000)

  test('connections that are reset before they are accepted do no harm', async () => {
    const { child, port } = service
    child.kill('SIGSTOP')
    const sockets = await connectMany(port, newClient(), 8)
    for (const socket of sockets) socket.resetAndDestroy()
    child.kill('SIGCONT')
    expect(await ask(port, newClient())).toBe(200)
  })
})

function after(socket: Socket, bytes: string, then: () => void): void {
  socket.once('data', then)
  socket.write(bytes)
}

test('registrations of one client do not keep others from logging in', async () => {
  // A busy machine hashes slowly.
  const service = await startService(database.url, { REQUEST_TIMEOUT_MS: '60000' })
  const account = await register(createClient(service.url))
  const { email, password } = account
  const flood = Array.from({ length: 40 }, (_, index) =>
    post(
      service.port,
      '/api/v1/auth/register',
      { email: `flood${index}@example.com`, password },
      { client: 2 },
    ),
  )
  const logins = Array.from({ length: 20 }, (_, index) =>
    post(service.port, '/api/v1/auth/login', { email, password }, { client: 10 + index }),
  )
  const statuses = (await Promise.all(logins)).map(({ status }) => status)
  expect(statuses).toEqual(Array.from({ length: 20 }, () => 200))
  const flooded = await Promise.all(flood)
  const refused = flooded.filter(({ status }) => status !== 201)
  expect(refused.length).toBeGreaterThan(0)
  expect(refused.length).toBeLessThan(40)
  for (const { status, headers, body } of refused) {
    expect(status).toBe(429)
    expect(headers['retry-after']).toBe('1')
    expect(body.code).toBe('too_many_requests')
  }
  expect((await service.stop()).code).toBe(0)
}, 60_000)

describe('bodies in pieces', () => {
  const bodyBytes = 1024 * 1024
  let service: TestService

  beforeAll(async () => {
    service = await startService(database.url, { MAX_BODY_BYTES: String(bodyBytes) })
  })

  afterAll(async () => {
    await service.stop()
  })

  function head(length: number): string {
    return `POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`
  }

  /** Sends nearly a whole body, and no more. Resolves with the status of what comes back meanwhile, 0 for nothing. */
  async function stall(client: number): Promise<{ socket: Socket; status: () => number }> {
    const socket = await connectFrom(service.port, client)
    let received = ''
    socket.on('data', (piece) => {
      received += piece
    })
    socket.write(head(bodyBytes))
    socket.write(Buffer.alloc(bodyBytes - 1, 0x20))
    return { socket, status: () => Number(received.slice(9, 12)) }
  }

  test('unfinished bodies of one client leave room for those of others', async () => {
    const stalled = await Promise.all(Array.from({ length: 40 }, () => stall(2)))
    await eventually('the surplus to be refused', () => {
      return stalled.filter(({ status }) => status() === 429).length >= 30
    })
    const statuses: number[] = []
    for (let client = 10; client < 15; client += 1) {
      const { socket, status } = await stall(client)
      await delay(100)
      socket.write(' ')
      await eventually('an answer', () => status() > 0)
      statuses.push(status())
      socket.destroy()
    }
    // Blanks are not JSON: the body has arrived.
    expect(statuses).toEqual([400, 400, 400, 400, 400])
    for (const { socket } of stalled) socket.destroy()
    await eventually('room for the first client', async () => {
      const { socket, status } = await stall(2)
      await delay(100)
      socket.destroy()
      return status() === 0
    })
  })
})

describe('proxies', () => {
  /** A header of the PROXY protocol, version 2, that names 203.0.113.9 as the source. */
  const proxyHeader = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb0071097f00000112340050', 'hex')
  const login = JSON.stringify({ email: 'nobody@example.com', password: 'not the password' })
  const bytes =
    `POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${login.length}\r\n`

  /** How many of 12 logins at once find a place in a queue of 2, which one client cannot fill alone. */
  async function served(port: number, headOf: (index: number) => string | Buffer): Promise<number> {
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, index) => {
        const socket = await connectFrom(port, 2)
        const prefix = headOf(index)
        if (typeof prefix !== 'string') socket.write(prefix)
        socket.write(`${bytes}${typeof prefix === 'string' ? prefix : ''}\r\n${login}`)
        const [data] = await once(socket, 'data')
        socket.destroy()
        return String(data).slice(9, 12)
      }),
    )
    expect(answers.every((status) => ['401', '429', '503'].includes(status))).toBe(true)
    return answers.filter((status) => status === '429').length
  }

  test('an address that a proxy reports counts only when the proxy is trusted', async () => {
    const env = { PASSWORD_QUEUE: '2' }
    const trusting = await startService(database.url, { ...env, TRUSTED_PROXIES: addressOf(2) })
    const distrusting = await startService(database.url, env)
    const forwarded = (index: number) => `X-Forwarded-For: 192.0.2.${index}\r\n`
    const split = (index: number) =>
      `X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.${index}\r\n`
    const relayed = (index: number) => {
      const header = Buffer.from(proxyHeader)
      header.writeUInt8(index, 19)
      return header
    }
    for (const heads of [forwarded, split, relayed]) {
      // Clients of one login each are never told that they have their share.
      expect(await served(trusting.port, heads)).toBe(0)
      expect(await served(distrusting.port, heads)).toBeGreaterThan(0)
    }
    await Promise.all([trusting.stop(), distrusting.stop()])
  })

  test('what proxies report about scheme and host changes nothing', async () => {
    const service = await startService(database.url, { TRUSTED_PROXIES: 'loopback' })
    const client = createClient(service.url)
    const { token } = await register(client)
    const headers = {
      forwarded: 'for=192.0.2.1;proto=https;host=evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
    }
    const answer = await client.post('/api/v1/tasks', { title: 'x' }, { token, headers })
    expect(answer.status).toBe(201)
    const told = JSON.stringify([answer.body, Object.fromEntries(answer.headers)])
    expect(told).not.toMatch(/evil|https/)
    await service.stop()
  })
})
