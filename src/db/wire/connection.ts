// Runs in every process that talks to PostgreSQL. One session of PostgreSQL with statements in flight. It never
// reconnects and never retries: after anything but a clean answer or a clean refusal it is of no more use, and all its
// calls are settled.
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { CallKind, Sink } from './calls.ts'
import { ConnectionError } from './error.ts'
import { Outbox } from './outbox.ts'
import type { Parameter } from './parameters.ts'
import type { MessageReader } from './reader.ts'
import type { Replies } from './replies.ts'
import type { Wire } from './socket.ts'
import { type Statement, writeExecute, writePrepare, writeQuery } from './statement.ts'

export interface ConnectionLimits {
  /** Longest time that the oldest call may wait for its answer; then the connection counts as dead. */
  answerTimeoutMs: number
  /** The longest message that PostgreSQL may send, in bytes. */
  messageBytesMax: number
  /** The most that PostgreSQL may answer to one call, in bytes. */
  replyBytesMax: number
  /** Whether nothing is sent before all that was sent is answered: only then can a transaction pooler serve others. */
  takesTurns?: boolean
  /** Whether a query may leave a transaction open: then nothing else may use the connection. */
  keepsTransactions?: boolean
  /** Bytes that may wait for PostgreSQL to read them; a call that has no room fails at once. */
  queuedBytesMax: number
}

interface Parts {
  wire: Wire
  reader: MessageReader
  replies: Replies
  parameters: ReadonlyMap<string, string>
  /** Absent where a pooler has none. */
  processId: number | undefined
}

/** The answer timeout is looked at this many times while it runs, so that a call costs no timer. */
const ANSWER_CHECKS = 4
/** So much is sent whatever waits elsewhere. */
const FLUSH_BYTES = 16_384
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4])

export class Connection {
  /** What PostgreSQL has reported about itself, by name. */
  readonly parameters: ReadonlyMap<string, string>
  readonly #parts: Parts
  readonly #socket: Socket
  readonly #replies: Replies
  readonly #outbox: Outbox
  readonly #limits: ConnectionLimits & { onClosed?: (error: Error) => void }
  readonly #flushLater: () => void
  readonly #written: (error?: Error | null) => void
  #closed: Error | undefined
  /** True while the socket holds bytes that PostgreSQL has not taken. */
  #blocked = false
  #flushComes = false
  /** True while answers are handed out: what is called then is sent behind them, so that none can be its answer. */
  #reading = false
  #watch: NodeJS.Timeout | undefined
  #answeredBefore = -1
  #checksWithoutAnswer = 0

  constructor(parts: Parts, limits: ConnectionLimits & { onClosed?: (error: Error) => void }) {
    this.#parts = parts
    this.#socket = parts.wire.socket
    this.#replies = parts.replies
    this.#limits = limits
    this.#outbox = new Outbox(limits.queuedBytesMax)
    this.parameters = parts.parameters
    this.#flushLater = () => {
      this.#flushComes = false
      this.#flushWhenDue()
    }
    this.#written = (error) => {
      // The socket reports it as well, and that closes the connection.
      if (error) return
      this.#blocked = false
      this.#flush()
    }
    const { reader, wire } = parts
    wire.onEnd = (error) => this.destroy(error)
    wire.onBytes = (bytes, length) => {
      this.#reading = true
      try {
        reader.feed(bytes, length)
      } catch (error) {
        this.destroy(error as Error)
      }
      this.#reading = false
      this.#flushWhenDue()
    }
  }

  /** Calls without an answer. */
  get inFlight(): number {
    return this.#replies.inFlight
  }

  /** The number that the session was given at the start: that of its backend, unless a pooler made it up. */
  get processId(): number | undefined {
    return this.#parts.processId
  }

  /** The version of TLS; `undefined` without TLS. */
  get tlsVersion(): string | undefined {
    const { socket } = this.#parts.wire
    return 'getProtocol' in socket ? ((socket as TLSSocket).getProtocol() ?? undefined) : undefined
  }

  /** True while PostgreSQL does not read what was sent. */
  get blocked(): boolean {
    return this.#blocked
  }

  get closed(): boolean {
    return this.#closed !== undefined
  }

  /**
   * Runs a prepared statement, or one without name. `sink` gets the answer; a call that cannot be sent, because of its
   * parameters or of a limit, fails before this returns.
   */
  execute(statement: Statement, parameters: readonly Parameter[], sink: Sink): void {
    const start = this.#outbox.length
    try {
      if (this.#closed) throw this.#closed
      writeExecute(this.#outbox, statement, parameters)
    } catch (error) {
      this.#outbox.length = start
      sink.failed(error as Error, false)
      return
    }
    this.#add('execute', statement, sink)
  }

  /** Prepares a statement and compares what PostgreSQL says about it with what it declares. */
  prepare(statement: Statement): Promise<void> {
    return new Promise((resolve, reject) => {
      const sink = { row: () => undefined, done: () => resolve(), failed: reject }
      this.#send('prepare', statement, sink, () => writePrepare(this.#outbox, statement))
    })
  }

  /** Runs SQL without parameters, several statements if need be; answers the rows of all as text. */
  query(text: string): Promise<(string | null)[][]> {
    return new Promise((resolve, reject) => {
      const rows: (string | null)[][] = []
      const sink: Sink = {
        row: (bytes, fields, columns) => rows.push(readTexts(bytes, fields, columns)),
        done: () => resolve(rows),
        failed: reject,
      }
      this.#send('query', undefined, sink, () => writeQuery(this.#outbox, text))
    })
  }

  /** Says good-bye. Calls without an answer fail. */
  end(): void {
    if (!this.#closed && !this.#blocked) this.#socket.write(TERMINATE)
    const error = new ConnectionError('CONNECTION_ENDED', 'The connection was ended here')
    // What PostgreSQL does not read would keep the socket open for ever.
    this.#close(error, !this.#blocked)
  }

  /** Ends the connection at once; every call without an answer fails with `error`. */
  destroy(error: Error): void {
    this.#close(error, false)
  }

  #close(error: Error, politely: boolean): void {
    if (this.#closed) return
    this.#closed = error
    clearTimeout(this.#watch)
    this.#parts.reader.stop()
    if (politely) this.#socket.destroySoon()
    else this.#socket.destroy()
    this.#replies.failAll(error)
    this.#limits.onClosed?.(error)
  }

  #send(kind: CallKind, statement: Statement | undefined, sink: Sink, write: () => void): void {
    const start = this.#outbox.length
    try {
      if (this.#closed) throw this.#closed
      write()
    } catch (error) {
      this.#outbox.length = start
      sink.failed(error as Error, false)
      return
    }
    this.#add(kind, statement, sink)
  }

  /** Sends at once when nothing is in flight, else together with whatever else is called in this turn. */
  #add(kind: CallKind, statement: Statement | undefined, sink: Sink): void {
    const idle = this.#replies.inFlight === 0
    this.#replies.add(kind, statement, sink)
    if (this.#watch === undefined) this.#startWatch()
    if (this.#reading) return
    if (idle) this.#flush()
    else if (!this.#flushComes) {
      this.#flushComes = true
      setImmediate(this.#flushLater)
    }
  }

  /**
   * While PostgreSQL has more calls before it than wait here, they go on waiting: it would not look at them earlier, and
   * one write for many is what a deep pipeline saves by. Each answer looks again.
   */
  #flushWhenDue(): void {
    const { sent, inFlight } = this.#replies
    if (this.#limits.takesTurns && sent > 0) return
    if (2 * sent <= inFlight || this.#outbox.length >= FLUSH_BYTES) this.#flush()
  }

  #flush(): void {
    const outbox = this.#outbox
    if (this.#blocked || this.#closed || outbox.length === 0) return
    this.#replies.markSent()
    this.#socket.write(outbox.bytes.subarray(0, outbox.length), this.#written)
    if (this.#socket.writableLength === 0) outbox.clear()
    else {
      // The socket still reads from these bytes.
      this.#blocked = true
      outbox.release()
    }
  }

  #startWatch(): void {
    this.#answeredBefore = this.#replies.answered
    this.#checksWithoutAnswer = 0
    this.#watch = setTimeout(() => this.#check(), this.#limits.answerTimeoutMs / ANSWER_CHECKS)
  }

  #check(): void {
    this.#watch = undefined
    if (this.#closed || this.#replies.inFlight === 0) return
    const stuck = this.#replies.answered === this.#answeredBefore
    const checks = stuck ? this.#checksWithoutAnswer + 1 : 0
    if (checks > ANSWER_CHECKS) {
      this.destroy(new ConnectionError('ETIMEDOUT', 'PostgreSQL does not answer'))
      return
    }
    this.#startWatch()
    this.#checksWithoutAnswer = checks
  }
}

function readTexts(bytes: Buffer, fields: Int32Array, columns: number): (string | null)[] {
  return Array.from({ length: columns }, (_, index) => {
    const start = fields[2 * index] ?? 0
    const length = fields[2 * index + 1] ?? -1
    return length < 0 ? null : bytes.toString('utf8', start, start + length)
  })
}
