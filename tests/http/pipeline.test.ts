// The HTTP part alone, on routes of another product: it knows nothing of accounts, tasks or PostgreSQL.

import type { Static } from '@sinclair/typebox'
import * as Type from '@sinclair/typebox'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Clients } from '../../src/server/http/client.ts'
import { Host } from '../../src/server/http/host.ts'
import { installRoutes } from '../../src/server/http/install.ts'
import { Lifecycle } from '../../src/server/http/lifecycle.ts'
import { Problem, unauthorized } from '../../src/server/http/problem.ts'
import { type Call, Ready, routesFor } from '../../src/server/http/route.ts'
import { loadUws, type TemplatedApp } from '../../src/server/http/uws.ts'
import { type Client, createClient, eventually, sendRaw } from '../support/client.ts'

interface Shelf {
  books: Map<string, string>
  /** The calls that have reached a handler. */
  calls: Call[]
}

const defineRoute = routesFor<Shelf>()
const Book = Type.Object({ shelf: Type.String(), title: Type.String() })
const READY = new Ready<Static<typeof Book>>('{"shelf":"b","title":"r"}')

const routes = [
  defineRoute({
    method: 'GET',
    path: '/shelves/:shelf/books/:book/pages/:page',
    summary: 'Read a page',
    tag: 'books',
    auth: false,
    params: Type.Object({ shelf: Type.String(), book: Type.String(), page: Type.String() }),
    responses: { 200: { description: 'The page', body: Type.Array(Type.String()) } },
    handle: (_, __, { params: { shelf, book, page } }) => ({
      status: 200,
      body: [shelf, book, page],
    }),
  }),
  defineRoute({
    method: 'GET',
    path: '/books/:book',
    summary: 'Read a book, or that it has not changed',
    tag: 'books',
    auth: false,
    params: Type.Object({ book: Type.String() }),
    responses: {
      200: { description: 'The book', body: Book, headers: { etag: 'Its version' } },
      207: { description: 'The book, in part', body: Type.Array(Type.Unknown()) },
      304: { description: 'Not changed', headers: { etag: 'Its version' } },
      412: { description: 'Another version', body: Book },
    },
    handle: ({ books }, _, { params: { book } }) => {
      const title = books.get(book) ?? ''
      if (book === 'unchanged') return { status: 304, headers: { etag: '"1"' } }
      if (book === 'partial') return { status: 207, body: [title] }
      if (book === 'other') return { status: 412, body: { shelf: 'a', title } }
      if (book === 'ready') return { status: 200, body: READY }
      return { status: 200, headers: { etag: '"2"' }, body: { shelf: 'a', title } }
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/books',
    summary: 'Add a book; waits until nobody waits for it',
    tag: 'books',
    auth: true,
    body: Type.Object({ title: Type.String() }),
    responses: { 201: { description: 'The caller', body: Type.String() } },
    handle: async ({ calls }, call, { body }) => {
      calls.push(call)
      while (body.title === 'slow' && !call.ended) await new Promise((r) => setTimeout(r, 5))
      return { status: 201, body: call.caller }
    },
  }),
]

let app: TemplatedApp
let host: Host
let client: Client
let port: number
const shelf: Shelf = { books: new Map([['one', 'Ünï 🦀']]), calls: [] }

beforeAll(async () => {
  const uws = loadUws()
  host = new Host({
    log: pino({ level: 'silent' }),
    requestLog: undefined,
    lifecycle: new Lifecycle(),
    allowedOrigins: undefined,
    allowedHeaders: '*',
    rateLimit: undefined,
    traces: undefined,
    clients: new Clients([]),
    bodyBytesMax: 1024,
    memoryBytes: Number.POSITIVE_INFINITY,
    collectBuffers: () => undefined,
    requestTimeoutMs: 300,
    authenticate: (authorization) => {
      if (authorization !== 'Bearer reader') throw unauthorized('Who are you?')
      return 'reader'
    },
    isOverloaded: () => false,
    translate: (thrown) =>
      thrown instanceof Problem ? thrown : new Problem('internal', 'Internal server error'),
  })
  app = uws.App()
  installRoutes(app, host, routes, shelf)
  await new Promise<void>((resolve, reject) => {
    app.listen('127.0.0.1', 0, (socket) => {
      if (!socket) return reject(new Error('Cannot listen'))
      port = uws.us_socket_local_port(socket)
      resolve()
    })
  })
  client = createClient(`http://127.0.0.1:${port}`)
})

afterAll(() => {
  app.close()
  host.close()
})

test('a path may have any number of parameters', async () => {
  const { body } = await client.get('/shelves/a/books/b%20c/pages/3')
  expect(body).toEqual(['a', 'b%20c', '3'])
})

describe('a reply', () => {
  test.each([
    ['unchanged', 304, '', '"1"'],
    ['partial', 207, [''], null],
    ['other', 412, { shelf: 'a', title: '' }, null],
    ['one', 200, { shelf: 'a', title: 'Ünï 🦀' }, '"2"'],
    ['ready', 200, { shelf: 'b', title: 'r' }, null],
  ])('of /books/%s has its own status, body and headers', async (book, status, body, etag) => {
    const answer = await client.get(`/books/${book}`)
    expect(answer.status).toBe(status)
    expect(answer.body).toEqual(body)
    expect(answer.headers.get('etag')).toBe(etag)
  })

  test('on a route that needs a caller names the caller, and nobody else gets there', async () => {
    const post = (authorization: string) =>
      client.post('/books', { title: 'x' }, { headers: { authorization } })
    expect((await post('Bearer reader')).body).toBe('reader')
    expect((await post('Bearer thief')).status).toBe(401)
  })
})

describe('HEAD', () => {
  const head = (path: string) => `HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

  test.each(['/books/one', '/books', '/nowhere'])(
    'on %s has the length of the body but no body, and the connection stays usable',
    async (path) => {
      const [alone, pair] = await Promise.all([
        sendRaw(port, head(path), 100),
        converse(port, [head(path), get('/books/ready')]),
      ])
      expect(alone).toMatch(/\r\n\r\n$/)
      expect(alone).toMatch(/^content-length: \d+\r$/im)
      expect(pair.match(/^HTTP\/1\.1 \d{3}/gm)).toHaveLength(2)
      expect(pair.endsWith(String(READY.json))).toBe(true)
    },
  )
})

test('a call knows when nobody waits for it any more', async () => {
  const late = await client.post(
    '/books',
    { title: 'slow' },
    { headers: { authorization: 'Bearer reader' } },
  )
  expect(late.body.code).toBe('deadline_exceeded')
  expect(shelf.calls.at(-1)?.ended).toBe(true)
  expect(host.inFlight).toBe(0)

  const gone = new AbortController()
  const aborted = fetch(`${client.url}/books`, {
    method: 'POST',
    headers: { authorization: 'Bearer reader', 'content-type': 'application/json' },
    body: '{"title":"slow"}',
    signal: gone.signal,
  }).catch((error: Error) => error.name)
  const before = shelf.calls.length
  await eventually('the call', () => shelf.calls.length > before)
  gone.abort()
  expect(await aborted).toBe('AbortError')
  await eventually('its end', () => shelf.calls.at(-1)?.ended === true)
})

/** Sends the requests over one connection, each once the one before it has been answered. */
async function converse(on: number, requests: readonly string[]): Promise<string> {
  const { connect } = await import('node:net')
  const socket = connect(on, '127.0.0.1')
  let received = ''
  let answers = 0
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  const closed = new Promise<void>((resolve) => socket.once('close', resolve))
  for (const request of requests) {
    answers += 1
    socket.write(request)
    await Promise.race([
      eventually('an answer', () => (received.match(/\r\n\r\n/g) ?? []).length >= answers),
      closed,
    ])
  }
  await eventually('the last body', () => received.endsWith('}') || socket.destroyed)
  socket.destroy()
  return received
}
