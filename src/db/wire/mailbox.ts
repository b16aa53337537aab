// Runs in every process that talks to PostgreSQL. Messages of the start of a connection, in the order in which they are
// waited for.
import { ConnectionError } from './error.ts'

export interface Message {
  code: number
  /** A copy of the body. */
  body: Buffer
}

/** A server that has something to say at start says less than this. */
const BYTES_MAX = 262_144

export class Mailbox {
  readonly #messages: Message[] = []
  #bytes = 0
  #failure: Error | undefined
  #waiting: { resolve: (message: Message) => void; reject: (error: Error) => void } | undefined

  put(code: number, bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start
    if (this.#bytes > BYTES_MAX) {
      throw new ConnectionError('REPLY_TOO_LARGE', 'PostgreSQL sent too much at start')
    }
    const message = { code, body: Buffer.from(bytes.subarray(start, end)) }
    if (this.#waiting) this.#waiting.resolve(message)
    else this.#messages.push(message)
    this.#waiting = undefined
  }

  /** What has come already is handed out first: it may say why the connection ended. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#waiting?.reject(this.#failure)
    this.#waiting = undefined
  }

  next(): Promise<Message> {
    const message = this.#messages.shift()
    if (message) return Promise.resolve(message)
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }
}
