// Runs in listeners. One request and its answer: the one file that holds a response of uWebSockets.js.
//
// What it guarantees: each request is answered exactly once, or was aborted by its client; nothing that a step throws
// reaches C++; no response is touched after its end; nothing waits without a deadline.
import { randomBytes } from 'node:crypto'
import type { Logger } from '../observe/log.ts'
import { Sampling } from '../observe/sampling.ts'
import type { Clients } from './client.ts'
import { type Head, readHead } from './head.ts'
import { type AllowedOrigins, CRLF, corsLines, headerLines, statusLine } from './headers.ts'
import { InFlight } from './in-flight.ts'
import type { Lifecycle } from './lifecycle.ts'
import { Problem, shed } from './problem.ts'
import type { Call, Priority } from './route.ts'
import { Shares } from './shares.ts'
import type { HttpRequest, HttpResponse } from './uws.ts'

/** An id that is echoed and logged must neither split a header or a line, nor be an e-mail address. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/
// Every JSON answer says that it varies, whether this one was compressed or not.
const CONTENT_JSON = `${CRLF}content-type: application/json${CRLF}vary: Accept-Encoding`

/** Bytes that a listener holds at most of bodies that arrive in pieces, for all clients and for one alone. */
const HELD_BYTES_MAX = 32 * 1024 * 1024
const HELD_BYTES_ALONE = HELD_BYTES_MAX / 4

const NO_PIECES: readonly Buffer[] = []

/** Returned by a step that calls `resume` when it has what it waits for. */
export const WAITS = Symbol('waits')

/** One event in the life of a request. What it throws becomes the answer. */
export type Step = (exchange: Exchange) => typeof WAITS | void

export interface HostOptions {
  log: Logger
  lifecycle: Lifecycle
  allowedOrigins: AllowedOrigins
  clients: Clients
  bodyBytesMax: number
  requestTimeoutMs: number
  /** The caller that an `Authorization` header names. Throws a `Problem`. */
  authenticate(authorization: string): string
  /** True while requests of this priority are to be turned away. */
  isOverloaded(priority: Priority): boolean
  /** What clients receive for whatever was thrown. */
  translate(thrown: unknown): Problem
}

/** What all exchanges of a listener share. */
export class Host {
  readonly options: HostOptions
  readonly logsRequests: boolean
  readonly inFlight = new InFlight<Exchange>()
  /** What happens to each reply, in order. */
  readonly replySteps: readonly Step[]
  /** Bytes of bodies that have arrived in part. */
  readonly heldBytes: Shares
  /** Compressions in flight. */
  compressions = 0
  readonly failures = new Sampling()
  readonly #idPrefix = randomBytes(6).toString('base64url')
  #idCounter = 0

  constructor(options: HostOptions, replySteps: readonly Step[]) {
    this.options = options
    this.logsRequests = options.log.isLevelEnabled('debug')
    this.replySteps = replySteps
    this.heldBytes = new Shares({
      max: HELD_BYTES_MAX,
      alone: HELD_BYTES_ALONE,
      least: options.bodyBytesMax,
    })
    this.inFlight.sweep((exchange) => exchange.fail(lateness(exchange)))
  }

  /** The client's id when it is harmless, else a new one. */
  requestId(given: string): string {
    if (given !== '' && REQUEST_ID.test(given)) return given
    this.#idCounter += 1
    return `${this.#idPrefix}-${this.#idCounter.toString(36)}`
  }
}

/** What is answered: a reply of a handler, or a problem. */
export interface Outgoing {
  status: number
  /** Header lines. */
  headers: string
  /** A value that becomes JSON, `Ready` JSON, or nothing. */
  body: unknown
}

/** What the steps have read from the request. */
export interface Received {
  params: unknown
  query: unknown
  body: unknown
}

/** One request and its answer. It is also the call that travels down to the statement. */
export class Exchange implements Call {
  readonly host: Host
  readonly head: Head
  /** Path template of the route, for the log. */
  readonly pattern: string
  readonly requestId: string
  readonly startedAtMs: number
  readonly deadlineMs: number
  readonly received: Received = { params: undefined, query: undefined, body: undefined }
  caller: string | undefined
  /** True once it has been answered or aborted. */
  ended = false
  /** The request of uWebSockets.js, which is valid until the first step that waits. */
  request: HttpRequest | undefined
  bodyBytes = 0
  /** Copies of the pieces of the body that have arrived, counted in `host.heldBytes`. */
  pieces: readonly Buffer[] = NO_PIECES
  /** Set when what follows on this connection may not be a request: the connection is closed with the answer. */
  untrusted: Problem | undefined
  outgoing: Outgoing | undefined
  payload: string | Buffer | undefined
  previous: Exchange | undefined
  next: Exchange | undefined
  readonly #response: HttpResponse
  #client: string | undefined
  #steps: readonly Step[]
  #at = 0
  #detached = false

  constructor(
    host: Host,
    response: HttpResponse,
    request: HttpRequest,
    route: { pattern: string; steps: readonly Step[] },
  ) {
    this.host = host
    this.#response = response
    this.request = request
    this.head = readHead(request)
    this.untrusted = this.head.untrusted
    this.requestId = host.requestId(this.head.requestId)
    this.pattern = route.pattern
    this.#steps = route.steps
    this.startedAtMs = performance.now()
    this.deadlineMs = this.startedAtMs + host.options.requestTimeoutMs
  }

  /** Runs step after step, up to one that waits. Never throws. */
  proceed(): void {
    try {
      for (let step = this.#steps[this.#at]; step; step = this.#steps[this.#at]) {
        this.#at += 1
        if (step(this) === WAITS) {
          this.detach()
          return
        }
      }
    } catch (thrown) {
      this.fail(thrown)
    }
  }

  /** Goes on after the step that waited, unless nobody waits for the answer any more. */
  resume(): void {
    if (!this.ended) this.proceed()
  }

  /** Answers whatever was thrown. Never throws. */
  fail(thrown: unknown): void {
    if (this.ended) return
    const problem = this.host.options.translate(thrown)
    if (problem.status >= 500) this.#logFailure(problem, thrown)
    this.outgoing = {
      status: problem.status,
      headers: headerLines(problem.headers),
      body: problem.toBody(this.requestId),
    }
    this.#steps = this.host.replySteps
    this.#at = 0
    this.proceed()
  }

  /** Lets the exchange outlive its handler's call, which uWebSockets.js allows only with `onAborted`. */
  detach(): void {
    if (this.#detached) return
    this.#detached = true
    this.request = undefined
    this.host.inFlight.add(this)
    this.#response.onAborted(() => {
      if (this.#end()) this.observe('aborted by the client')
    })
  }

  /** Read when it is first asked for: most requests need no address, and the kernel is asked for it. */
  get client(): string {
    this.#client ??= this.ended ? '' : this.host.options.clients.of(this.#response, this.head)
    return this.#client
  }

  get detached(): boolean {
    return this.#detached
  }

  /** True when the body must not be sent, only described. */
  get headOnly(): boolean {
    return this.head.method === 'HEAD'
  }

  /** Hands each piece of the body to `take`; a piece is valid during the call only. */
  onData(take: (exchange: Exchange, piece: ArrayBuffer, isLast: boolean) => void): void {
    this.detach()
    this.#response.onData((piece, isLast) => {
      if (!this.ended) take(this, piece, isLast)
    })
  }

  /** Drops the pieces of the body that have arrived. */
  release(): void {
    for (const piece of this.pieces) this.host.heldBytes.giveBack(this.client, piece.byteLength)
    this.pieces = NO_PIECES
  }

  /** Sends what is outgoing, once. */
  send(): void {
    if (!this.#end()) return
    if (this.#detached) this.#response.cork(() => this.#write())
    else this.#write()
  }

  observe(outcome: number | string): void {
    if (!this.host.logsRequests) return
    const { requestId: request_id, pattern: route, head } = this
    const duration_ms = Math.round((performance.now() - this.startedAtMs) * 1000) / 1000
    this.host.options.log.debug(
      { request_id, method: head.method, route, status: outcome, duration_ms },
      'Request',
    )
  }

  #write(): void {
    const { payload, outgoing } = this
    if (!outgoing) throw new Error('There is nothing to send')
    const { lifecycle, allowedOrigins } = this.host.options
    const response = this.#response
    if (outgoing.status !== 200) response.writeStatus(statusLine(outgoing.status))
    // All lines go in one call, ready-made: crossing into C++ costs more than the bytes.
    const type = payload === undefined ? '' : CONTENT_JSON
    const cors = corsLines(allowedOrigins, this.head.origin)
    response.writeHeader('x-request-id', this.requestId + type + cors + outgoing.headers)
    const close = lifecycle.state === 'closing' || this.untrusted !== undefined
    if (payload !== undefined && !this.headOnly) {
      response.end(payload, close)
      return
    }
    // HEAD says how long the body would be (RFC 9110, 9.3.2); on a 204 the length is forbidden (8.6). We write the
    // header ourselves, because endWithoutBody never counts the response as done when it is given a length.
    if (payload !== undefined) {
      response.writeHeader('content-length', String(Buffer.byteLength(payload)))
    }
    if (close) response.writeHeader('connection', 'close')
    response.endWithoutBody()
  }

  /** Marks the end, by answer or abort; true only the first time. */
  #end(): boolean {
    if (this.ended) return false
    this.ended = true
    this.release()
    if (this.#detached) this.host.inFlight.delete(this)
    return true
  }

  /** A fault of our own is logged with its stack; what is expected to happen, such as overload, by its reason alone. */
  #logFailure(problem: Problem, thrown: unknown): void {
    const { log } = this.host.options
    const { requestId: request_id, pattern: route, head, host } = this
    const { code } = problem
    const fields = { request_id, method: head.method, route, code }
    if (problem.status === 500) {
      host.failures.add(`${code} ${head.method} ${route}`, (repeats) =>
        log.error({ ...fields, ...counted(repeats), err: thrown }, 'Request failed'),
      )
    } else {
      host.failures.add(`${code} ${reasonOf(thrown)}`, (repeats) =>
        log.warn({ ...fields, ...counted(repeats), reason: thrown }, 'Request failed'),
      )
    }
  }
}

/** Tells kinds of expected failures apart: by their class and code, of which there are few. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown
  return 'code' in thrown ? `${thrown.name} ${String(thrown.code)}` : thrown.name
}

function counted(repeats: number): { repeats?: number } {
  return repeats === 0 ? {} : { repeats }
}

function lateness(exchange: Exchange): Problem {
  if (exchange.bodyBytes < exchange.head.contentLength) {
    exchange.untrusted = new Problem('request_timeout', 'The body did not arrive in time')
    return exchange.untrusted
  }
  return shed(
    'deadline_exceeded',
    'The request was not answered in time; a write may have happened',
  )
}
