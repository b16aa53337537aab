// Runs in listeners. One request and its answer, on a response of uWebSockets.js.
//
// What it guarantees: each request is answered exactly once, or was aborted by its client; nothing that a step throws
// reaches C++; no response is touched after its end; nothing waits without a deadline, neither for an answer nor for its
// reader.
import type { Recording } from '../observe/recording.ts'
import { readTraceContext, type TraceContext } from '../observe/trace-context.ts'
import { CHUNKS_MAX } from './crumbs.ts'
import { type Head, readHead } from './head.ts'
import { commonLines, headerLines, NO_STORE } from './headers.ts'
import type { Host, Unanswered } from './host.ts'
import { LATE, Problem } from './problem.ts'
import { Remainder } from './remainder.ts'
import { logFailure, logRequest } from './request-log.ts'
import type { Call, Received } from './route.ts'
import type { RouteTally } from './tally.ts'
import { beginTrace, endTrace } from './tracing.ts'
import type { HttpRequest, HttpResponse } from './uws.ts'
import { type Ending, type Outgoing, writeContinue, writeUnusual, writeUsual } from './writer.ts'

const NO_PIECES: readonly Buffer[] = []

/** Returned by a step that calls `resume` when it has what it waits for. */
export const WAITS = Symbol('waits')

/** One event in the life of a request. What it throws becomes the answer. */
export type Step = (exchange: Exchange) => typeof WAITS | void

/** Receives the pieces of a body; a piece is valid during the call only. */
export type Take = (exchange: Exchange, piece: ArrayBuffer, isLast: boolean) => void

/** What happens to the requests of a path. */
export interface Route {
  steps: readonly Step[]
  /** What happens to the answer to a failure. */
  failureSteps: readonly Step[]
  tally: RouteTally
}

/** One request and its answer. It is also the call that travels down to the statement. */
export class Exchange implements Call, Unanswered {
  readonly host: Host
  readonly head: Head
  /** What its route has answered. */
  readonly tally: RouteTally
  readonly requestId: string
  readonly startedAtMs: number
  readonly deadlineMs: number
  /** What its times are noted in, when it is traced. */
  readonly recording: Recording | undefined
  readonly received: Received = { params: undefined, query: undefined, body: undefined }
  caller: string | undefined
  /** Header lines that the answer gets, whatever it is. */
  lines = ''
  /** True once it has been answered or aborted. */
  ended = false
  queuedMs = 0
  /** The request of uWebSockets.js, which is valid until the first step that waits. */
  request: HttpRequest | undefined
  bodyBytes = 0
  /** Pieces of the body that have arrived. */
  bodyPieces = 0
  /** Copies of the pieces of the body that have arrived, counted in `host.heldBytes`. */
  pieces: readonly Buffer[] = NO_PIECES
  /** Set when what follows on this connection may not be a request: the connection is closed with the answer. */
  untrusted: Problem | undefined
  /** Set when the connection ends with the answer. */
  ending: Ending | undefined
  outgoing: Outgoing | undefined
  /** True when it is turned away, however good it may be: there are too many, of all clients or of this one. */
  refused = false
  payload: string | Buffer | undefined
  previous: Unanswered | undefined
  next: Unanswered | undefined
  /** True once the client has been asked for its body. */
  continued = false
  readonly #response: HttpResponse
  #client: string | undefined
  readonly #failureSteps: readonly Step[]
  #steps: readonly Step[]
  #at = 0
  #detached = false
  #parsing = true
  #take: Take | undefined
  #listens = false
  #bodyEnded = false
  #remainder: Remainder | undefined

  constructor(
    host: Host,
    response: HttpResponse,
    request: HttpRequest,
    { steps, failureSteps, tally }: Route,
  ) {
    this.host = host
    this.#response = response
    this.request = request
    this.head = readHead(request)
    this.untrusted = this.head.untrusted
    this.requestId = host.requestId(this.head.requestId)
    this.tally = tally
    this.#steps = steps
    this.#failureSteps = failureSteps
    this.startedAtMs = performance.now()
    host.requestedAtMs = this.startedAtMs
    this.deadlineMs = this.startedAtMs + host.options.requestTimeoutMs
    this.recording = beginTrace(host, this.head, request)
  }

  /** Runs step after step, up to one that waits. Never throws. */
  proceed(): void {
    try {
      for (let step = this.#steps[this.#at]; step; step = this.#steps[this.#at]) {
        this.#at += 1
        if (step(this) === WAITS) {
          this.request = undefined
          this.#parsing = false
          this.#detach()
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
    if (problem.status >= 500) logFailure(this, problem, thrown)
    this.refused = problem.code === 'overloaded' || problem.code === 'too_many_requests'
    this.outgoing = {
      status: problem.status,
      headers: NO_STORE + headerLines(problem.headers),
      body: problem.toBody(this.requestId, this.trace?.traceId),
    }
    this.#steps = this.#failureSteps
    this.#at = 0
    this.proceed()
  }

  /** Read when it is first asked for: most requests need no address, and the kernel is asked for it. */
  get client(): string {
    this.#client ??= this.ended ? '' : this.host.options.clients.of(this.#response, this.head)
    return this.#client
  }

  /** Path template of the route. */
  get pattern(): string {
    return this.tally.pattern
  }

  /** Its place in a trace: its own when it is traced, else that of its client, if the client names one. */
  get trace(): TraceContext | undefined {
    if (this.recording) return this.recording.context
    return readTraceContext(this.head.traceparent, this.head.tracestate)
  }

  /** True while the parser of uWebSockets.js waits for us, and would go on with what follows the request. */
  get parsing(): boolean {
    return this.#parsing
  }

  /** True when the body must not be sent, only described. */
  get headOnly(): boolean {
    return this.head.method === 'HEAD'
  }

  /** True when nothing of the body is still to come. */
  get bodyArrived(): boolean {
    return this.head.chunked ? this.#bodyEnded : this.bodyBytes >= this.head.contentLength
  }

  /** Hands each piece of the body to `take`, until there is an answer. */
  receive(take: Take): void {
    if (this.head.expectsContinue) {
      writeContinue(this.#response)
      this.continued = true
    }
    this.#take = take
    this.listen()
  }

  /** Receives the body, or drops it when nobody takes it. Only within the handler's call. */
  listen(): void {
    if (this.#listens) return
    this.#listens = true
    this.#detach()
    this.#response.onData((piece, isLast) => this.#arrive(piece, isLast))
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
    if (this.ending === 'ours') this.#part()
    if (this.#remainder) this.host.boundUnread()
    if (typeof this.payload === 'object') this.host.countUsed(this.payload.length)
    if (!this.refused) this.#earnRefusal()
  }

  /** At the deadline there is an answer, whatever the request waits for. */
  beLate(): void {
    if (this.refused) {
      this.resume()
      return
    }
    if (this.bodyArrived) {
      this.fail(LATE)
      return
    }
    this.untrusted = new Problem('request_timeout', 'The body did not arrive in time')
    this.fail(this.untrusted)
  }

  /** Lets the exchange outlive its handler's call, which uWebSockets.js allows only with `onAborted`. */
  #detach(): void {
    if (this.#detached) return
    this.#detached = true
    if (!this.ended) this.host.unanswered.add(this)
    this.#response.onAborted(() => {
      if (this.#end()) {
        this.tally.countAborted(this.head.method)
        logRequest(this, undefined)
        endTrace(this, undefined)
      } else this.#remainder?.leave()
    })
  }

  #arrive(piece: ArrayBuffer, isLast: boolean): void {
    this.bodyBytes += piece.byteLength
    this.bodyPieces += 1
    this.#bodyEnded = isLast
    // Also when nobody wants the body: each chunk costs the same.
    if (this.head.chunked && this.bodyPieces === CHUNKS_MAX + 1) {
      this.host.crumbs.add(this.client, performance.now())
    }
    if (!this.outgoing && !this.ended) {
      this.#parsing = true
      this.#take?.(this, piece, isLast)
      this.#parsing = false
    } else if (isLast || this.bodyBytes > this.host.dropBytesMax) {
      // Not within the parser, which does not expect its connection to end among chunks.
      setImmediate(() => {
        if (this.#remainder?.lingers) this.#remainder.disconnect()
      })
    }
  }

  #write(): void {
    const { payload, outgoing, head } = this
    if (!outgoing) throw new Error('There is nothing to send')
    const { allowedOrigins } = this.host.options
    const ends = this.ending !== undefined
    const common = commonLines(allowedOrigins, head, payload !== undefined, ends)
    const lines = this.requestId + common + this.lines + outgoing.headers
    if (payload !== undefined && head.bare && !ends) {
      if (!writeUsual(this.#response, outgoing.status, lines, payload)) this.#awaitReader(payload)
    } else {
      this.#writeUnusual(outgoing.status, lines)
    }
  }

  #writeUnusual(status: number, lines: string): void {
    const { payload, continued, headOnly, ending } = this
    const isUsual = payload !== undefined && ending === undefined && !headOnly && !continued
    const taken = isUsual
      ? writeUsual(this.#response, status, lines, payload)
      : writeUnusual(this.#response, { status, lines, continued, headOnly, ending }, payload)
    if (!taken && payload !== undefined) this.#awaitReader(payload)
  }

  #awaitReader(payload: string | Buffer): void {
    this.#detach()
    this.#remainder = new Remainder(this, this.#response)
    this.#remainder.awaitReader(payload)
  }

  #earnRefusal(): void {
    const { refusals } = this.host
    refusals.countAnswer()
    // Within the handler's own call, uWebSockets.js cannot gather what goes to another connection.
    if (this.#detached) refusals.release()
  }

  #part(): void {
    const isOver = this.bodyArrived && this.untrusted === undefined
    this.#remainder = new Remainder(this, this.#response)
    this.#remainder.part(this.payload?.length ?? 0, isOver)
  }

  /** Marks the end, by answer or abort; true only the first time. */
  #end(): boolean {
    if (this.ended) return false
    this.ended = true
    this.release()
    if (this.#detached) this.host.unanswered.delete(this)
    return true
  }
}
