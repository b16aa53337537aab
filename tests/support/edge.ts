// The HTTP part alone, on routes that answer whatever a test wants and count what they did; and raw connections to it.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import * as Type from '@sinclair/typebox'
import { pino } from 'pino'
import { Clients } from '../../src/server/http/client.ts'
import { Host } from '../../src/server/http/host.ts'
import { installRoutes } from '../../src/server/http/install.ts'
import { Lifecycle } from '../../src/server/http/lifecycle.ts'
import { Problem, unauthorized } from '../../src/server/http/problem.ts'
import { Ready, routesFor } from '../../src/server/http/route.ts'
import { loadUws } from '../../src/server/http/uws.ts'

export const BODY_BYTES_MAX = 1024
export const REQUEST_TIMEOUT_MS = 1000

/** What the routes give and have done. */
interface State {
  /** Answer of `GET /text`. */
  text: Ready<string>
  reads: number
  /** Titles of the notes that were written. */
  writes: string[]
}

export interface Edge {
  port: number
  host: Host
  lifecycle: Lifecycle
  state: State
  /** Lines of the log. */
  log: Record<string, unknown>[]
  close(): void
}

const defineRoute = routesFor<State>()
const common = { tag: 'notes', summary: 'A note' } as const
const Note = Type.Object({ title: Type.String() })

const routes = [
  defineRoute({
    ...common,
    method: 'GET',
    path: '/text',
    auth: false,
    responses: { 200: { description: 'A text', body: Type.String() } },
    handle: (state) => {
      state.reads += 1
      return { status: 200, body: state.text }
    },
  }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/later',
    auth: false,
    responses: { 200: { description: 'A text', body: Type.String() } },
    handle: async (state) => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      return { status: 200, body: state.text }
    },
  }),
  defineRoute({
    ...common,
    method: 'GET',
    path: '/unchanged',
    auth: false,
    responses: { 304: { description: 'Not changed' } },
    handle: () => ({ status: 304 }),
  }),
  defineRoute({
    ...common,
    method: 'DELETE',
    path: '/notes/:id',
    auth: false,
    params: Type.Object({ id: Type.String() }),
    responses: { 204: { description: 'Deleted' } },
    handle: async (state, _, { params }) => {
      state.writes.push(`deleted ${params.id}`)
      return { status: 204 }
    },
  }),
  defineRoute({
    ...common,
    method: 'POST',
    path: '/notes',
    auth: true,
    body: Note,
    responses: { 201: { description: 'The note', body: Note } },
    handle: async (state, _, { body }) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      state.writes.push(body.title)
      return { status: 201, body }
    },
  }),
  defineRoute({
    ...common,
    method: 'PATCH',
    path: '/notes',
    auth: false,
    body: Note,
    responses: { 200: { description: 'The note', body: Note } },
    handle: (_, __, { body }) => ({ status: 200, body }),
  }),
]

export async function startEdge(bodyBytesMax = BODY_BYTES_MAX): Promise<Edge> {
  const uws = loadUws()
  const log: Record<string, unknown>[] = []
  const lifecycle = new Lifecycle()
  const state: State = { text: new Ready('"text"'), reads: 0, writes: [] }
  const host = new Host({
    log: pino({ level: 'warn' }, { write: (line: string) => log.push(JSON.parse(line)) }),
    requestLog: undefined,
    lifecycle,
    allowedOrigins: undefined,
    allowedHeaders: '*',
    rateLimit: undefined,
    traces: undefined,
    clients: new Clients([]),
    bodyBytesMax,
    memoryBytes: Number.POSITIVE_INFINITY,
    collectBuffers: () => undefined,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    authenticate: (authorization) => {
      if (authorization !== 'Bearer me') throw unauthorized('Who are you?')
      return 'me'
    },
    isOverloaded: () => false,
    translate: (thrown) =>
      thrown instanceof Problem ? thrown : new Problem('internal', 'Internal server error'),
  })
  const app = uws.App()
  installRoutes(app, host, routes, state)
  const port = await new Promise<number>((resolve, reject) => {
    app.listen('127.0.0.1', 0, (socket) => {
      if (socket) resolve(uws.us_socket_local_port(socket))
      else reject(new Error('Cannot listen'))
    })
  })
  const close = () => {
    app.close()
    host.close()
  }
  return { port, host, lifecycle, state, log, close }
}

/** A connection whose every byte is known. */
export interface Wire {
  socket: Socket
  /** What has been received, one character per byte. */
  received(): string
  isClosed(): boolean
  /** Set when the connection was reset. */
  error(): string | undefined
  send(text: string): void
  /** Resolves when the server has closed it. */
  closed: Promise<void>
}

export async function openWire(port: number): Promise<Wire> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = ''
  let isClosed = false
  let failure: string | undefined
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    failure = error.code
  })
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      isClosed = true
      resolve()
    })
  })
  await once(socket, 'connect')
  return {
    socket,
    received: () => received,
    isClosed: () => isClosed,
    error: () => failure,
    send: (text) => void socket.write(Buffer.from(text, 'latin1')),
    closed,
  }
}

export interface WireAnswer {
  status: number
  headers: Map<string, string>
  body: string
}

/** The answers to requests of these methods, by RFC 9112, section 6.3. Throws when a byte too many has come. */
export function readAnswers(received: string, methods: readonly string[]): WireAnswer[] {
  const answers: WireAnswer[] = []
  let rest = received
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1])
    if (end < 0 || !status) throw new Error(`Not an answer: ${JSON.stringify(rest)}`)
    const headers = new Map(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 2),
      ]),
    )
    rest = rest.slice(end + 4)
    if (status < 200) continue
    const method = methods[answers.length]
    if (!method) throw new Error(`An answer to nothing: ${status}`)
    const bodyless = method === 'HEAD' || status === 204 || status === 304
    const length = bodyless ? 0 : Number(headers.get('content-length'))
    if (rest.length < length) throw new Error(`A body is not complete: ${rest.length} of ${length}`)
    answers.push({ status, headers, body: rest.slice(0, length) })
    rest = rest.slice(length)
  }
  return answers
}
