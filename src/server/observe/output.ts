// Runs in every process. Writes lines to standard output, whatever becomes of its reader or its disk: the service never
// waits for it, never fails because of it, and never ends because of it.
import { write } from 'node:fs'

const STANDARD_OUTPUT = 1
/** Bytes of lines that may wait; further lines are dropped, and counted. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024
/** A pipe takes up to this much whole or not at all, so lines of several processes do not get into each other. */
const WRITE_BYTES_MAX = 4096
/** When the reader is slow. */
const BUSY_RETRY_MS = 100
/** When the disk is full or the reader has gone: there may be space, or another reader, later. */
const FAILED_RETRY_MS = 1000
const CLOSE_TIMEOUT_MS = 1000

/**
 * sonic-boom, the usual destination of pino, is not used: once its buffer is full after an error, it never writes again;
 * and at the end of the process it retries without a limit, so that one whose log nobody reads does not end.
 */
export class Output {
  readonly #onDropped: (dropped: number) => void
  readonly #lines: string[] = []
  /** What is left of the lines that are being written. */
  #chunk: Uint8Array = new Uint8Array(0)
  #waitingBytes = 0
  #writing = false
  #dropped = 0
  #droppedBefore = 0
  #onIdle: (() => void) | undefined

  /** @param onDropped lines are written again; so many were dropped before */
  constructor(onDropped: (dropped: number) => void) {
    this.#onDropped = onDropped
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line)
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX) {
      this.#dropped += 1
      return
    }
    this.#lines.push(line)
    this.#waitingBytes += bytes
    if (!this.#writing) this.#writeNext()
  }

  /** Lines that were dropped since the start. */
  get dropped(): number {
    return this.#droppedBefore + this.#dropped
  }

  /** Resolves when every line is written; gives up after a second. */
  close(): Promise<void> {
    if (!this.#writing) return Promise.resolve()
    return new Promise((resolve) => {
      const patience = setTimeout(resolve, CLOSE_TIMEOUT_MS)
      this.#onIdle = () => {
        clearTimeout(patience)
        resolve()
      }
    })
  }

  #writeNext(): void {
    this.#writing = this.#lines.length > 0
    if (this.#writing) {
      this.#chunk = takeChunk(this.#lines)
      this.#writeChunk()
    } else {
      this.#onIdle?.()
    }
  }

  #writeChunk(): void {
    unblock()
    write(STANDARD_OUTPUT, this.#chunk, (error, written) => {
      if (error) this.#retry(error)
      else this.#proceed(written)
    })
  }

  #retry(error: NodeJS.ErrnoException): void {
    const delayMs = error.code === 'EAGAIN' ? BUSY_RETRY_MS : FAILED_RETRY_MS
    setTimeout(() => this.#writeChunk(), delayMs).unref()
  }

  #proceed(written: number): void {
    this.#waitingBytes -= written
    this.#chunk = this.#chunk.subarray(written)
    if (this.#chunk.length > 0) {
      this.#writeChunk()
      return
    }
    if (this.#dropped > 0 && this.#waitingBytes < WAITING_BYTES_MAX / 2) {
      const dropped = this.#dropped
      this.#droppedBefore += dropped
      this.#dropped = 0
      this.#onDropped(dropped)
    }
    this.#writeNext()
  }
}

/**
 * Makes a pipe or socket non-blocking: a write that blocks keeps its process from ending. Before each write, because the
 * flag belongs to all processes that share the output, and Node clears it whenever it starts or ends one of them.
 */
function unblock(): void {
  const { _handle: handle } = process.stdout as { _handle?: { setBlocking?(on: boolean): number } }
  handle?.setBlocking?.(false)
}

/** Whole lines up to the size of a write, but at least one. */
function takeChunk(lines: string[]): Buffer {
  let count = 0
  let bytes = 0
  for (const line of lines) {
    bytes += Buffer.byteLength(line)
    if (count > 0 && bytes > WRITE_BYTES_MAX) break
    count += 1
  }
  return Buffer.from(lines.splice(0, count).join(''))
}
