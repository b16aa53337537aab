// Answers and those who read them: slowly, never, or without a body.
import { execFile } from 'node:child_process'
import { Agent, request } from 'node:http'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Ready } from '../../src/server/http/route.ts'
import { eventually } from '../support/client.ts'
import { type Edge, openWire, readAnswers, startEdge, type Wire } from '../support/edge.ts'

const MEBIBYTE = 1024 * 1024
const GET_TEXT = 'GET /text HTTP/1.1\r\nHost: x\r\n\r\n'

let edge: Edge

beforeEach(async () => {
  edge = await startEdge()
})

afterEach(() => edge.close())

function textOf(bytes: number): Ready<string> {
  return new Ready(Buffer.from(JSON.stringify('x'.repeat(bytes))))
}

/** Asks for the text and does not read it. */
async function askWithoutReading(): Promise<Wire> {
  const wire = await openWire(edge.port)
  wire.socket.pause()
  const before = edge.state.reads
  wire.send(GET_TEXT)
  await eventually('the request', () => edge.state.reads > before)
  return wire
}

describe('a client that does not read', () => {
  test('has one answer in memory, and its next request is not served', async () => {
    edge.state.text = textOf(8 * MEBIBYTE)
    const wire = await askWithoutReading()
    expect(edge.host.unread.size).toBe(1)
    expect(edge.host.inFlight).toBe(1)
    wire.send(GET_TEXT)
    await eventually('its end', () => edge.host.unread.size === 0)
    expect(edge.state.reads).toBe(1)
    expect(edge.host.unreadBytes).toBe(0)
    wire.socket.destroy()
  })

  test('is disconnected at the deadline, and the log says so', async () => {
    edge.state.text = textOf(8 * MEBIBYTE)
    const wire = await askWithoutReading()
    await eventually('its end', () => edge.host.unread.size === 0)
    wire.socket.resume()
    await wire.closed
    expect(wire.received().length).toBeLessThan(8 * MEBIBYTE)
    expect(edge.log).toMatchObject([
      {
        msg: 'Closed a connection whose client did not read its answer',
        route: '/text',
        why: 'deadline',
      },
    ])
  })

  test('loses its connection to others when it has waited longest and their answers need the room', async () => {
    edge.state.text = textOf(7 * MEBIBYTE)
    const wires = [await askWithoutReading(), await askWithoutReading()]
    expect(edge.host.unread.size).toBe(2)
    wires.push(await askWithoutReading())
    await eventually('room', () => edge.host.unread.size === 2)
    expect(edge.host.unreadBytes).toBeLessThan(16 * MEBIBYTE)
    expect(edge.log).toMatchObject([{ why: 'limit' }])
    for (const wire of wires) wire.socket.resume()
    await wires[0]?.closed
    await eventually('the other answers', () => edge.host.unread.size === 0)
    expect(wires.slice(1).every((wire) => !wire.isClosed())).toBe(true)
    for (const wire of wires) wire.socket.destroy()
  })

  test.each([100, 1500])(
    'has few answers of %i bytes in memory, however many it asks for',
    async (bytes) => {
      edge.state.text = textOf(bytes)
      const wire = await openWire(edge.port)
      wire.socket.pause()
      const requests = Math.ceil((64 * MEBIBYTE) / bytes)
      wire.send(GET_TEXT.repeat(requests))
      await eventually('its end', () => edge.state.reads > 0 && edge.host.unread.size === 0)
      await eventually('the end of its connection', async () => {
        wire.socket.resume()
        return wire.isClosed()
      })
      expect(edge.state.reads).toBeLessThan(requests / 2)
    },
  )

  test('may read later while the listener closes, and is waited for', async () => {
    edge.lifecycle.moveTo('closing')
    edge.state.text = textOf(8 * MEBIBYTE)
    const wire = await askWithoutReading()
    expect(edge.host.isIdle).toBe(false)
    wire.socket.resume()
    await eventually('the answer', () => edge.host.isIdle)
    await eventually('all of it', () => wire.received().endsWith('x"'))
    const [long] = readAnswers(wire.received(), ['GET'])
    expect(long?.body.length).toBe(8 * MEBIBYTE + 2)
    expect(long?.headers.get('connection')).toBe('close')
    wire.socket.destroy()
  })

  test('may read later, and is served again', async () => {
    edge.state.text = textOf(8 * MEBIBYTE)
    const wire = await askWithoutReading()
    wire.socket.resume()
    await eventually('the answer', () => edge.host.unread.size === 0)
    edge.state.text = new Ready('"short"')
    await eventually('all of it', () => wire.received().endsWith('x"'))
    wire.send(GET_TEXT)
    await eventually('the next answer', () => wire.received().endsWith('"short"'))
    const [long, short] = readAnswers(wire.received(), ['GET', 'GET'])
    expect(long?.body.length).toBe(8 * MEBIBYTE + 2)
    expect(short?.body).toBe('"short"')
    wire.socket.destroy()
  })

  test('leaves nothing behind when it goes away', async () => {
    edge.state.text = textOf(8 * MEBIBYTE)
    const wire = await askWithoutReading()
    wire.socket.destroy()
    await eventually('its end', () => edge.host.inFlight === 0)
    expect(edge.host.unreadBytes).toBe(0)
    expect(edge.log).toEqual([])
  })
})

test('sooner or later an answer without a body ends its connection', async () => {
  const wire = await openWire(edge.port)
  const head = 'HEAD /text HTTP/1.1\r\nHost: x\r\n\r\n'
  let sent = 0
  while (!wire.isClosed() && sent < 30_000) {
    sent += 1
    const before = wire.received().length
    wire.send(head)
    while (wire.received().length === before && !wire.isClosed()) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const answers = readAnswers(
    wire.received(),
    Array.from({ length: sent }, () => 'HEAD'),
  )
  expect(answers.at(-1)?.headers.get('connection')).toBe('close')
  expect(answers.slice(0, -1).some(({ headers }) => headers.has('connection'))).toBe(false)
})

/** Method, path, expected status. */
const MIX = [
  ['GET', '/text', 200],
  ['HEAD', '/text', 200],
  ['HEAD', '/later', 200],
  ['GET', '/unchanged', 304],
  ['HEAD', '/unchanged', 304],
  ['DELETE', '/notes/1', 204],
  ['HEAD', '/nowhere', 404],
  ['GET', '/nowhere', 404],
  ['HEAD', '/notes/1', 405],
  ['PUT', '/text', 405],
  ['OPTIONS', '/text', 204],
  ['POST', '/notes', 201],
  ['POST', '/notes', 401],
  ['GET', '/later', 200],
] as const
const MIXED = Array.from({ length: 105 }, (_, index) => MIX[(index * 5) % MIX.length] ?? MIX[0])

describe('a hundred mixed requests on one connection', () => {
  test("are answered for Node's client", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ports = new Set<number | undefined>()
    let closes = 0
    for (const [method, path, status] of MIXED) {
      const answer = await ask(agent, method, path, status)
      ports.add(answer.port)
      if (answer.closes) closes += 1
      expect([method, path, answer.status]).toEqual([method, path, status])
      const bodyless = method === 'HEAD' || status === 204 || status === 304
      expect(answer.body === '').toBe(bodyless)
    }
    agent.destroy()
    expect(ports.size).toBeLessThanOrEqual(1 + closes)
  })

  test('are answered for curl, where it is installed', async () => {
    const run = promisify(execFile)
    const hasCurl = await run('curl', ['--version']).then(
      () => true,
      () => false,
    )
    if (!hasCurl) {
      if (process.env.CI === 'true') throw new Error('There is no curl')
      process.stdout.write('curl is not installed: not run with it\n')
      return
    }
    const requests = MIXED.filter(([method]) => method !== 'POST')
    const words = requests.flatMap(([method, path], index) => [
      ...(index === 0 ? [] : ['--next']),
      '-s',
      ...(method === 'HEAD' ? ['-I'] : ['-X', method]),
      ...(method === 'PUT' ? ['-d', '{}'] : []),
      '-o',
      '/dev/null',
      '-w',
      '%{http_code} %{num_connects} %{errormsg}\n',
      `http://127.0.0.1:${edge.port}${path}`,
    ])
    const { stdout } = await run('curl', words)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(' '))
    expect(lines.map(([status]) => Number(status))).toEqual(requests.map(([, , status]) => status))
    // One connection, and at most one more for an answer that had to end it.
    const connects = lines.reduce((sum, [, opened]) => sum + Number(opened), 0)
    expect(connects).toBeLessThanOrEqual(2)
  })
})

interface Asked {
  status: number | undefined
  body: string
  closes: boolean
  port: number | undefined
}

function ask(agent: Agent, method: string, path: string, status: number): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(status === 401 ? {} : { authorization: 'Bearer me' }),
    }
    const sent = request(
      { agent, port: edge.port, host: '127.0.0.1', method, path, headers },
      (answer) => {
        const port = answer.socket.localPort
        let body = ''
        answer.on('data', (chunk) => {
          body += chunk
        })
        answer.on('end', () => {
          const closes = answer.headers.connection === 'close'
          resolve({ status: answer.statusCode, body, closes, port })
        })
        answer.on('error', reject)
      },
    )
    sent.on('error', reject)
    const body = method === 'POST' ? '{"title":"x"}' : ''
    if (method === 'POST' || method === 'PUT') sent.setHeader('content-length', body.length)
    sent.end(body)
  })
}
