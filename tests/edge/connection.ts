// A bare connection to a server: bytes go out as they are, and answers are read strictly.
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type Answer, takeAnswer } from './answers.ts'

/** What happened instead of an answer: the connection ended, or nothing came in time. */
export type Unanswered = 'closed' | 'silent'

/** Between two pieces of a request, so that the server reads them one by one. */
const PIECE_GAP_MS = 1

export class RawConnection {
  readonly #socket: Socket
  #received = ''
  #ended = false
  #waiting: (() => void) | undefined

  constructor(port: number, onOpen?: () => void) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    if (onOpen) this.#socket.once('connect', onOpen)
    this.#socket.on('data', (bytes: Buffer) => {
      this.#received += bytes.toString('latin1')
      this.#waiting?.()
    })
    const end = () => {
      this.#ended = true
      this.#waiting?.()
    }
    // A server that refuses a request may reset the connection while we still write to it.
    this.#socket.on('error', end)
    this.#socket.on('end', end)
    this.#socket.on('close', end)
  }

  get ended(): boolean {
    return this.#ended
  }

  /** What has come and was not read as an answer. */
  get rest(): string {
    return this.#received
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  /** Sends the bytes in pieces that end at `cuts`, in ascending order. */
  async writeInPieces(bytes: Buffer, cuts: readonly number[]): Promise<void> {
    let from = 0
    for (const cut of [...cuts, bytes.length]) {
      this.write(bytes.subarray(from, cut))
      from = cut
      if (cut < bytes.length) await delay(PIECE_GAP_MS)
    }
  }

  /** Says that nothing more will be sent; answers can still come. */
  finish(): void {
    this.#socket.end()
  }

  /** The next answer to a request of `method`. Throws for one that the protocol does not allow. */
  async answer(method: string, waitMsMax: number): Promise<Answer | Unanswered> {
    const deadline = performance.now() + waitMsMax
    for (;;) {
      const taken = takeAnswer(this.#received, method, this.#ended)
      if (taken) {
        this.#received = taken.rest
        return taken.answer
      }
      if (this.#ended) return 'closed'
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) return 'silent'
      await this.#change(leftMs)
    }
  }

  /** The next answer, whatever method the server has understood: of a body, no more is expected than has come. */
  async anyAnswer(waitMsMax: number): Promise<Answer | Unanswered> {
    const answer = await this.answer('HEAD', waitMsMax)
    this.#received = ''
    return answer
  }

  /** True when the server ends the connection in time, without another byte. */
  async endsQuietly(waitMsMax: number): Promise<boolean> {
    const deadline = performance.now() + waitMsMax
    while (!this.#ended && performance.now() < deadline) {
      await this.#change(deadline - performance.now())
    }
    return this.#ended && this.#received === ''
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #change(waitMsMax: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting = undefined
        resolve()
      }
      const timer = setTimeout(done, Math.max(waitMsMax, 1))
      this.#waiting = done
    })
  }
}
