// Reads HTTP/1.1 answers off a connection that has one request in flight at a time.

const HEAD_END = Buffer.from('\r\n\r\n')
const EMPTY = Buffer.alloc(0)
const CHUNKS_END = '0\r\n\r\n'

export class AnswerParser {
  #head: Buffer = EMPTY
  #status = 0
  #left = 0
  #chunked = false
  #tail = ''

  /** Returns the status when `chunk` completes an answer, and `undefined` otherwise. Keeps nothing of the chunk's memory. */
  push(chunk: Buffer): number | undefined {
    let rest: Buffer = chunk
    if (this.#status === 0) {
      const bytes = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
      const end = bytes.indexOf(HEAD_END)
      if (end < 0) {
        this.#head = Buffer.from(bytes)
        return undefined
      }
      this.#readHead(bytes.toString('latin1', 0, end))
      rest = bytes.subarray(end + HEAD_END.length)
      this.#head = EMPTY
    }
    return this.#isComplete(rest) ? this.#finish() : undefined
  }

  #readHead(head: string): void {
    this.#status = Number(head.slice(9, 12))
    this.#chunked = /\r\ntransfer-encoding: *chunked/i.test(head)
    this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    this.#tail = ''
  }

  #isComplete(bytes: Buffer): boolean {
    if (this.#chunked) {
      this.#tail = (this.#tail + bytes.toString('latin1')).slice(-CHUNKS_END.length)
      return this.#tail === CHUNKS_END
    }
    this.#left -= bytes.length
    return this.#left <= 0
  }

  #finish(): number {
    const status = this.#status
    this.#status = 0
    return status
  }
}
