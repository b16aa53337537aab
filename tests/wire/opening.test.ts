import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { codeOf, open } from './conversations.ts'

describe('opening', () => {
  let server: Server
  let sockets: Socket[]
  let url: string

  beforeEach(async () => {
    sockets = []
    server = createServer((socket) => {
      socket.on('error', () => undefined)
      sockets.push(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    url = `postgres://u:secret@127.0.0.1:${typeof address === 'object' ? address?.port : 0}/d`
  })

  afterEach(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  test('has a deadline, before and after the wish for TLS', async () => {
    const soon = { connectTimeoutMs: 100 }
    expect(await codeOf(open(`${url}?sslmode=disable`, soon))).toBe('CONNECT_TIMEOUT')
    expect(await codeOf(open(`${url}?sslmode=prefer`, soon))).toBe('CONNECT_TIMEOUT')
    server.on('connection', (socket) => socket.write('S'))
    expect(await codeOf(open(`${url}?sslmode=require`, soon))).toBe('CONNECT_TIMEOUT')
  })

  test('can be given up at any time', async () => {
    const early = { signal: AbortSignal.abort(new Error('no')) }
    expect(await codeOf(open(url, early))).toBe('CONNECTION_DESTROYED')
    const controller = new AbortController()
    const opening = codeOf(open(url, { signal: controller.signal }))
    await once(server, 'connection')
    controller.abort()
    expect(await opening).toBe('CONNECTION_DESTROYED')
  })

  test('fails when nobody listens, with the code of the system', async () => {
    server.close()
    expect(await codeOf(open(url))).toBe('ECONNREFUSED')
    expect(await codeOf(open('postgres:///d?host=/no/such/folder&user=u'))).toBe('ENOENT')
    expect(await codeOf(open('postgres://u@no-such-host.invalid/d'))).toMatch(/ENOTFOUND|EAI_AGAIN/)
  })

  test('fails when the server hangs up or resets', async () => {
    server.on('connection', (socket) => socket.end())
    expect(await codeOf(open(`${url}?sslmode=disable`))).toBe('CONNECTION_CLOSED')
    expect(await codeOf(open(url))).toBe('CONNECTION_CLOSED')
    server.on('connection', (socket) => socket.resetAndDestroy())
    expect(await codeOf(open(url))).toMatch(/CONNECTION_CLOSED|ECONNRESET/)
  })

  test('refuses bytes behind the answer to the wish for TLS', async () => {
    server.on('connection', (socket) => socket.write('SE'))
    expect(await codeOf(open(`${url}?sslmode=require`))).toBe('PROTOCOL_VIOLATION')
  })

  test('refuses a server that answers the wish for TLS with anything else', async () => {
    server.on('connection', (socket) => socket.write('R\0\0\0\x08\0\0\0\0'))
    expect(await codeOf(open(url))).toBe('PROTOCOL_VIOLATION')
  })

  test('does not go without TLS where it must not', async () => {
    server.on('connection', (socket) => socket.write('N'))
    expect(await codeOf(open(`${url}?sslmode=require`))).toBe('TLS_REFUSED')
    expect(await codeOf(open(`${url}?sslmode=verify-full`))).toBe('TLS_REFUSED')
  })

  test('never sends a start-up parameter that would change who we are', async () => {
    const parameters = { user: 'postgres' }
    expect(await codeOf(open(`${url}?sslmode=disable`, { parameters }))).toBe('INVALID_PARAMETER')
  })
})
