// Runs in listeners. What all requests of a listener share: settings, counts, and the lists of those that wait.
import { randomBytes } from 'node:crypto'
import type { Logger } from '../observe/log.ts'
import { Sampling } from '../observe/sampling.ts'
import type { Traces } from '../observe/traces.ts'
import type { Clients } from './client.ts'
import { Crumbs } from './crumbs.ts'
import type { AllowedOrigins } from './headers.ts'
import { InFlight, type Member } from './in-flight.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Problem } from './problem.ts'
import type { RateLimit } from './rate-limit.ts'
import { Refusals } from './refusals.ts'
import type { Priority } from './route.ts'
import { Shares } from './shares.ts'
import type { RouteTally } from './tally.ts'

/** An id that is echoed and logged must neither split a header or a line, nor be an e-mail address. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/
const SWEEP_MS = 50
/** What is left of a body is read and dropped up to this many times the largest body, so that the client sees its answer. */
const DROP_FACTOR = 16
/** Of the memory that a listener may use, the part that each kind of buffer may take. */
const BUFFER_PART = 16
/** Bytes that a listener holds at most of bodies that arrive in pieces. */
const HELD_BYTES_MAX = 32 * 1024 * 1024
/** One client alone may have one in so many of them. */
const HELD_ALONE_PART = 4
/** Bytes of answers that a listener holds at most for clients that do not read them. */
const UNREAD_BYTES_MAX = 16 * 1024 * 1024
/** Bytes that compressions take at most; further answers go out as they are. */
const COMPRESSION_BYTES_MAX = 16 * 1024 * 1024
/**
 * One in so many answers without a body closes its connection. uWebSockets.js buffers such an answer whether the client
 * reads or not, and does not say so; this way a client that never reads has a few hundred kilobytes of them at most. The
 * choice is random, so that no client can foresee it.
 */
const BODYLESS_RUN = 1024

/** Which requests have a line. */
export interface RequestLog {
  log: Logger
  /** Served ones that took at least this long; all that failed have one. */
  slowMs: number
}

export interface HostOptions {
  log: Logger
  /** `undefined` when no request has a line. */
  requestLog: RequestLog | undefined
  lifecycle: Lifecycle
  allowedOrigins: AllowedOrigins
  /** The value of `Access-Control-Allow-Headers`. */
  allowedHeaders: string
  /** `undefined` when requests are not limited. */
  rateLimit: RateLimit | undefined
  clients: Clients
  /** `undefined` when requests are not traced. */
  traces: Traces | undefined
  bodyBytesMax: number
  requestTimeoutMs: number
  /** What the process may use. */
  memoryBytes: number
  /** Frees the buffers that nothing refers to any more. */
  collectBuffers(): void
  /** The caller that an `Authorization` header names. Throws a `Problem`. */
  authenticate(authorization: string): string
  /** True while the database has too much to do for requests of this priority. */
  isOverloaded(priority: Priority): boolean
  /** What clients receive for whatever was thrown. */
  translate(thrown: unknown): Problem
}

/** A request without an answer. */
export interface Unanswered extends Member<Unanswered> {
  /** Called at the deadline: there must be an answer now. */
  beLate(): void
}

/** An answered request whose connection is not free yet. */
export interface Parting extends Member<Parting> {
  /** Closes the connection; its client has its answer, unless it is `unread`. */
  disconnect(unread?: 'deadline' | 'limit'): void
}

export class Host {
  readonly options: HostOptions
  /** A client that sends more of a body that nobody takes loses its connection, even if it does not see its answer. */
  readonly dropBytesMax: number
  /** Requests without an answer. */
  readonly unanswered = new InFlight<Unanswered>()
  /** Answers whose client has not taken them yet. */
  readonly unread = new InFlight<Parting>()
  /** Answered requests whose connection stays open for a moment, so that what the client still sends is dropped. */
  readonly lingering = new InFlight<Parting>()
  /** Bytes of bodies that have arrived in part. */
  readonly heldBytes: Shares
  /** Bytes of the answers in `unread`. */
  unreadBytes = 0
  /** When the head of the last request arrived, by `performance.now()`. */
  requestedAtMs = 0
  /** Bytes that the compressions in flight take. */
  compressionBytes = 0
  readonly compressionBytesMax: number
  readonly #unreadBytesMax: number
  /** Bytes of the buffers that were used since some were last freed. */
  #usedBytes = 0
  readonly #usedBytesMax: number
  #shortOfMemory = false
  readonly failures = new Sampling()
  readonly refusals = new Refusals()
  /** Requests that were turned away before anything was done for them, by the reason. */
  readonly shed = { overloaded_early: 0, memory: 0 }
  /** What each route has answered. */
  readonly tallies: RouteTally[] = []
  readonly crumbs = new Crumbs()
  readonly #idPrefix = randomBytes(6).toString('base64url')
  #idCounter = 0
  readonly #sweeper: NodeJS.Timeout

  constructor(options: HostOptions) {
    this.options = options
    const part = options.memoryBytes / BUFFER_PART
    const held = Math.max(Math.min(HELD_BYTES_MAX, part), options.bodyBytesMax)
    this.heldBytes = new Shares({
      max: held,
      alone: held / HELD_ALONE_PART,
      least: options.bodyBytesMax,
    })
    this.#unreadBytesMax = Math.min(UNREAD_BYTES_MAX, part)
    this.#usedBytesMax = part
    this.compressionBytesMax = Math.min(COMPRESSION_BYTES_MAX, part)
    this.dropBytesMax = DROP_FACTOR * options.bodyBytesMax
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** Requests whose answer has not been written, or not been taken by their client. */
  get inFlight(): number {
    return this.unanswered.size + this.unread.size
  }

  /** True when no client waits for anything: neither for an answer, nor for time to read it. */
  get isIdle(): boolean {
    return this.inFlight === 0 && this.lingering.size === 0
  }

  /** The client's id when it is harmless, else a new one. */
  requestId(given: string): string {
    if (given !== '' && REQUEST_ID.test(given)) return given
    this.#idCounter += 1
    return `${this.#idPrefix}-${this.#idCounter.toString(36)}`
  }

  /** Whether an answer without a body closes its connection. */
  closesBodyless(): boolean {
    return Math.random() * BODYLESS_RUN < 1
  }

  /** Makes room among the unread answers: the client that has waited longest loses its connection. */
  boundUnread(): void {
    while (this.unreadBytes > this.#unreadBytesMax && this.unread.first) {
      this.unread.first.disconnect('limit')
    }
  }

  /**
   * Takes note of a buffer that has been used. V8 does not collect for the sake of what is outside of its heap until that has
   * become 32 MB or more.
   */
  countUsed(bytes: number): void {
    this.#usedBytes += bytes
    if (this.#usedBytes <= this.#usedBytesMax) return
    this.#usedBytes = 0
    this.options.collectBuffers()
  }

  /** While memory is short, heavy requests are turned away, and clients that do not read lose their connections. */
  setShortOfMemory(isShort: boolean): void {
    this.#shortOfMemory = isShort
    while (isShort && this.unread.first) this.unread.first.disconnect('limit')
  }

  /** Whether a request of this priority is to be turned away; asked once for each. */
  isOverloaded(priority: Priority): boolean {
    if (this.#shortOfMemory && priority === 'heavy') {
      this.shed.memory += 1
      return true
    }
    const isOverloaded = this.options.isOverloaded(priority)
    if (isOverloaded) this.shed.overloaded_early += 1
    return isOverloaded
  }

  /** Ends the watch over deadlines. */
  close(): void {
    clearInterval(this.#sweeper)
  }

  #sweep(): void {
    const nowMs = performance.now()
    this.unanswered.expire(nowMs, (request) => request.beLate())
    this.unread.expire(nowMs, (request) => request.disconnect('deadline'))
    this.lingering.expire(nowMs, (request) => request.disconnect())
    this.refusals.countTime(SWEEP_MS)
    this.refusals.release()
  }
}
