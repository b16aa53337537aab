// Runs in listeners. What is left of a request that has been answered: an answer that its client has not read, or a body that
// its client still sends.
import type { Host, Parting } from './host.ts'
import type { InFlight } from './in-flight.ts'
import { logUnread, type Named } from './request-log.ts'
import type { HttpResponse } from './uws.ts'
import { AT_ONCE_BYTES_MAX, writeRest } from './writer.ts'

/** How long a connection stays open behind its last answer while the client may still be sending. */
const LINGER_MS = 1000

export class Remainder implements Parting {
  deadlineMs = 0
  previous: Parting | undefined
  next: Parting | undefined
  readonly #request: Named
  readonly #response: HttpResponse
  /** The list that it is in. */
  #list: InFlight<Parting> | undefined
  #bytes = 0

  constructor(request: Named, response: HttpResponse) {
    this.#request = request
    this.#response = response
  }

  get #host(): Host {
    return this.#request.host
  }

  /** Goes on with the answer whenever its client has taken some of it. */
  awaitReader(payload: string | Buffer): void {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    // A view keeps all of the memory behind it.
    this.#keepUnread(bytes.buffer.byteLength)
    this.#response.onWritable((offset) => {
      const [accepted, complete] = writeRest(this.#response, bytes, offset)
      if (complete) this.leave()
      return accepted
    })
  }

  /**
   * Closes the connection once the client has had time to read the answer and to stop sending.
   *
   * @param bytes of the answer
   * @param isOver true when nothing more of the request is to come
   */
  part(bytes: number, isOver: boolean): void {
    const isSmall = bytes <= AT_ONCE_BYTES_MAX
    if (isSmall && isOver) this.#response.close()
    else if (isSmall) this.#linger()
    else this.#keepUnread(bytes)
  }

  /** Counts an answer that waits for its reader. */
  #keepUnread(bytes: number): void {
    this.#bytes = bytes
    this.#host.unreadBytes += bytes
    this.#enter(this.#host.unread, this.#host.options.requestTimeoutMs)
  }

  /** Leaves the client a moment to stop sending, and to read the answer. */
  #linger(): void {
    this.#enter(this.#host.lingering, LINGER_MS)
  }

  get lingers(): boolean {
    return this.#list === this.#host.lingering
  }

  disconnect(unread?: 'deadline' | 'limit'): void {
    if (unread) logUnread(this.#request, unread)
    this.leave()
    this.#response.close()
  }

  leave(): void {
    this.#list?.delete(this)
    this.#list = undefined
    this.#host.unreadBytes -= this.#bytes
    this.#bytes = 0
  }

  #enter(list: InFlight<Parting>, waitMs: number): void {
    this.deadlineMs = performance.now() + waitMs
    this.#list = list
    list.add(this)
  }
}
