// The worst clients that we can think of. Each is one client: all of its connections come from one address.
import { connect, type Socket } from 'node:net'
import { AnswerParser } from '../../bench/load/answer-parser.ts'

export interface Target {
  port: number
  /** The address that the abuser comes from. */
  from: string
  /** Of an account with a full page of large tasks. */
  token: string
  /** Of an account that others use. */
  email: string
}

export interface Abuser {
  name: string
  about: string
  connections: number
  /** Begins on a connection that has just been made. */
  begin: (socket: Socket, target: Target, serial: number) => void
}

const BODY_BYTES = 65_536
const PAUSE_MS = 50
const DRIP_MS = 1000

const HOST = 'host: localhost\r\n'
const JSON_TYPE = 'content-type: application/json\r\n'

export const abusers: readonly Abuser[] = [
  {
    name: 'never reads',
    about: 'asks for the document again and again and reads no answer',
    connections: 64,
    begin: (socket) => neverRead(socket, `GET /openapi.json HTTP/1.1\r\n${HOST}\r\n`),
  },
  {
    name: 'never reads lists',
    about: 'asks for pages of 100 large tasks and reads no answer',
    connections: 64,
    begin: (socket, { token }) => neverRead(socket, listRequest(token, '')),
  },
  {
    name: 'silent',
    about: 'connects and never says a word',
    connections: 4000,
    begin: () => undefined,
  },
  {
    name: 'half a head',
    about: 'sends its head a letter a second',
    connections: 1000,
    begin: (socket) => {
      socket.write(`GET /health HTTP/1.1\r\n${HOST}x-slow: `)
      drip(socket, 'x')
    },
  },
  {
    name: 'unfinished bodies',
    about: 'sends nearly all of a body of 64 KiB, then a letter a second',
    connections: 1000,
    begin: (socket) => {
      socket.write(post('/api/v1/auth/login', 'x'.repeat(BODY_BYTES), BODY_BYTES - 1000))
      drip(socket, 'x')
    },
  },
  {
    name: 'registrations',
    about: 'registers accounts, 64 at once',
    connections: 64,
    begin: (socket, _target, serial) => {
      let count = 0
      const run = `${process.pid}.${Date.now()}`
      inTurn(socket, () => {
        count += 1
        const email = `abuse.${run}.${serial}.${count}@example.com`
        return post('/api/v1/auth/register', credentials(email))
      })
    },
  },
  {
    name: 'wrong passwords',
    about: "guesses the password of somebody else's account, 64 at once",
    connections: 64,
    begin: (socket, { email }) => {
      const request = post('/api/v1/auth/login', credentials(email))
      inTurn(socket, () => request)
    },
  },
  {
    name: 'unknown fields',
    about: 'sends 64 KiB of unknown fields to the login, 16 at once',
    connections: 16,
    begin: (socket) => {
      const fields = Array.from({ length: 6000 }, (_, index) => `"k${index}":1`)
      const request = post('/api/v1/auth/login', `{${fields.join(',')}}`.slice(0, BODY_BYTES))
      inTurn(socket, () => request)
    },
  },
  {
    name: 'comes and goes',
    about: 'connects, sends half a request, resets the connection, 64 at once',
    connections: 64,
    begin: (socket) => {
      socket.write(`GET /health HTTP/1.1\r\n${HOST}`, () => socket.resetAndDestroy())
    },
  },
  {
    name: 'far pages',
    about: 'asks for the end of its list by offset, compressed, 16 at once',
    connections: 16,
    begin: (socket, { token }) => {
      const request = listRequest(token, 'offset=100000', 'accept-encoding: gzip\r\n')
      inTurn(socket, () => request)
    },
  },
  {
    name: 'large pages',
    about: 'asks for pages of 100 large tasks, compressed, 16 at once',
    connections: 16,
    begin: (socket, { token }) => {
      const request = listRequest(token, '', 'accept-encoding: gzip\r\n')
      inTurn(socket, () => request)
    },
  },
  {
    name: 'small chunks',
    about: 'sends a body of 64 KiB in chunks of one byte, 16 at once',
    connections: 16,
    begin: (socket) => {
      const head = `POST /api/v1/auth/login HTTP/1.1\r\n${HOST}${JSON_TYPE}transfer-encoding: chunked\r\n\r\n`
      const request = `${head}${'1\r\n \r\n'.repeat(BODY_BYTES)}0\r\n\r\n`
      inTurn(socket, () => request)
    },
  },
  {
    name: 'large heads',
    about: 'sends heads of 16 KB to paths that do not exist, 16 at once',
    connections: 16,
    begin: (socket) => {
      const request = `GET /no/such/path HTTP/1.1\r\n${HOST}x-large: ${'x'.repeat(16_000)}\r\n\r\n`
      inTurn(socket, () => request)
    },
  },
]

/** Keeps the abuser's connections open until the process ends; one that is closed is replaced after a moment. */
export function abuse({ connections, begin }: Abuser, target: Target): void {
  for (let serial = 0; serial < connections; serial += 1) keepOpen(serial)

  function keepOpen(serial: number): void {
    const { port, from: localAddress } = target
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    // Why it was closed does not matter to an abuser.
    socket.on('error', () => undefined)
    socket.once('connect', () => begin(socket, target, serial))
    socket.once('close', () => setTimeout(() => keepOpen(serial), PAUSE_MS))
  }
}

function neverRead(socket: Socket, request: string): void {
  socket.pause()
  const timer = setInterval(() => {
    if (!socket.writableNeedDrain) socket.write(request)
  }, 5)
  socket.once('close', () => clearInterval(timer))
}

function drip(socket: Socket, letter: string): void {
  const timer = setInterval(() => socket.write(letter), DRIP_MS)
  socket.once('close', () => clearInterval(timer))
}

/** Sends the next request when the answer to the last one has come. */
function inTurn(socket: Socket, next: () => string): void {
  const parser = new AnswerParser()
  socket.on('data', (bytes: Buffer) => {
    if (parser.push(bytes) !== undefined) socket.write(next())
  })
  socket.write(next())
}

function post(path: string, body: string, sent = body.length): string {
  const head = `POST ${path} HTTP/1.1\r\n${HOST}${JSON_TYPE}content-length: ${body.length}\r\n\r\n`
  return head + body.slice(0, sent)
}

function credentials(email: string): string {
  return JSON.stringify({ email, password: 'not the right one' })
}

function listRequest(token: string, query: string, headers = ''): string {
  return `GET /api/v1/tasks?limit=100&${query} HTTP/1.1\r\n${HOST}${headers}authorization: Bearer ${token}\r\n\r\n`
}
