// Kept connections that carry one request at a time, as cheaply as Node's sockets allow.
import { connect, type Socket } from 'node:net'
import { AnswerParser } from './answer-parser.ts'
import type { BenchRequest } from './scenario.ts'

/** What one read can take of an answer; longer answers need several reads. */
const READ_BUFFER_BYTES = 64 * 1024
/** The default port is not part of a URL. */
const HTTP_PORT = 80

export interface ConnectionOptions {
  url: string
  connections: number
  /** The requests of one connection, sent in order, over and over. */
  requests(connection: number): BenchRequest[]
}

/** What a connection reports to its owner, who sets both before sending the first request. */
export interface ConnectionEvents {
  /** The answer to the request in flight is complete. */
  onAnswer(connection: Connection, status: number): void
  onClose(connection: Connection): void
}

export class Connection {
  /** When the time of the request in flight began to count, or -1 when the connection is free. */
  sinceMs = -1
  events: ConnectionEvents | undefined
  readonly #socket: Socket
  readonly #texts: readonly string[]
  #next = 0

  private constructor(socket: Socket, texts: readonly string[]) {
    this.#socket = socket
    this.#texts = texts
  }

  static open(url: string, requests: readonly BenchRequest[]): Promise<Connection> {
    const { hostname, port, host } = new URL(url)
    const texts = requests.map((request) => encodeRequest(request, host))
    const parser = new AnswerParser()
    return new Promise((resolve, reject) => {
      const socket = connect({
        host: hostname,
        port: Number(port || HTTP_PORT),
        noDelay: true,
        // One buffer for all reads: the stream layer would allocate one for each read and emit it as an event.
        onread: {
          buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
          callback: (length, buffer) => {
            const status = parser.push((buffer as Buffer).subarray(0, length))
            if (status !== undefined) connection.#answered(status)
            return true
          },
        },
      })
      const connection = new Connection(socket, texts)
      // After the connection is made, a close follows each error.
      socket.on('error', reject)
      socket.once('connect', () => resolve(connection))
      socket.on('close', () => connection.events?.onClose(connection))
    })
  }

  get busy(): boolean {
    return this.sinceMs >= 0
  }

  /** Sends the next request, whose time counts from `sinceMs`. */
  send(sinceMs: number): void {
    this.sinceMs = sinceMs
    this.#socket.write(this.#texts[this.#next] ?? '', 'latin1')
    this.#next = (this.#next + 1) % this.#texts.length
  }

  close(): void {
    this.#socket.destroy()
  }

  #answered(status: number): void {
    this.events?.onAnswer(this, status)
  }
}

export function openConnections(options: ConnectionOptions): Promise<Connection[]> {
  return Promise.all(
    Array.from({ length: options.connections }, (_, index) =>
      Connection.open(options.url, options.requests(index)),
    ),
  )
}

/** The request as it is sent. Bodies of scenarios are ASCII. */
function encodeRequest({ method, path, headers, body = '' }: BenchRequest, host: string): string {
  const length = body === '' ? {} : { 'content-length': String(body.length) }
  const lines = Object.entries({ host, ...headers, ...length }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  return [`${method} ${path} HTTP/1.1`, ...lines, '', body].join('\r\n')
}
