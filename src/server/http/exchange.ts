// Runs in listeners. The one file that understands uWebSockets.js' requests and responses.
//
// What it guarantees: each request is answered exactly once, or was aborted by its client; nothing that a handler
// throws reaches C++; no response is touched after its end; no body is held without a limit; nothing waits
// without a deadline.
import { randomBytes } from 'node:crypto'
import type { Logger } from '../observe/log.ts'
import { type AllowedOrigins, CRLF, corsLines, headerLines, statusLine } from './headers.ts'
import { PendingList } from './in-flight.ts'
import { ApiError, invalidRequest, shed, toApiError } from './problem.ts'
import type { HttpRequest, HttpResponse } from './uws.ts'

/** Largest request head, in bytes: room for a token, cookies and trace headers. */
export const HEAD_BYTES_MAX = 16_384
/** A body over the limit is read and thrown away up to this many times the limit, so that the client sees its 413. */
const DISCARD_FACTOR = 16
/** Bytes held of bodies that arrive in pieces, per listener. */
const HELD_BYTES_MAX = 32 * 1024 * 1024
/** Below this, gzip saves less than the one packet that the answer fits in. */
const GZIP_LENGTH_MIN = 1024
/** Compressions under way in the thread pool; further answers go out as they are. */
const GZIP_MAX = 64
const SWEEP_MS = 100
/** What is echoed and logged can neither split a header or a line, nor be an e-mail address. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/
const GZIP_ACCEPTED = /(?:^|,)\s*gzip\s*(?:;\s*q\s*=\s*(?!0(?:\.0*)?\s*(?:,|$))[\d.]+\s*)?(?:,|$)/i

export interface GateOptions {
  log: Logger
  allowedOrigins: AllowedOrigins
  bodyBytesMax: number
  requestTimeoutMs: number
}

/** What all exchanges of a listener share: their limits, and the list of those that wait. */
export class Gate {
  readonly log: Logger
  readonly logsRequests: boolean
  readonly allowedOrigins: AllowedOrigins
  readonly bodyBytesMax: number
  readonly pending = new PendingList<Exchange>()
  /** True while draining: every answer closes its connection. */
  closing = false
  compressions = 0
  heldBytes = 0
  readonly #requestTimeoutMs: number
  readonly #idPrefix = randomBytes(6).toString('base64url')
  readonly #sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
  #idCounter = 0

  constructor(options: GateOptions) {
    this.log = options.log
    this.logsRequests = options.log.isLevelEnabled('debug')
    this.allowedOrigins = options.allowedOrigins
    this.bodyBytesMax = options.bodyBytesMax
    this.#requestTimeoutMs = options.requestTimeoutMs
    this.#sweeper.unref()
  }

  /** The client's id when it is harmless, else a new one. */
  requestId(given: string): string {
    if (given !== '' && REQUEST_ID.test(given)) return given
    this.#idCounter += 1
    return `${this.#idPrefix}-${this.#idCounter.toString(36)}`
  }

  /** Stops enforcing deadlines. */
  close(): void {
    clearInterval(this.#sweeper)
  }

  /** The list is in order of arrival and all deadlines are the same, so the late ones stand in front. */
  #sweep(): void {
    const limit = performance.now() - this.#requestTimeoutMs
    let oldest = this.pending.oldest
    while (oldest && oldest.startedAtMs < limit) {
      oldest.fail(lateness(oldest))
      oldest = this.pending.oldest
    }
  }
}

/** The head of an answer, and its body before compression. */
interface Answer {
  status: number
  headers: string
  body: string | undefined
}

/** One request and its answer. */
export class Exchange {
  readonly gate: Gate
  readonly response: HttpResponse
  /** Path template of the route, for the log. */
  readonly pattern: string
  readonly headOnly: boolean
  readonly startedAtMs = performance.now()
  method = ''
  requestId = ''
  authorization = ''
  acceptEncoding = ''
  origin = ''
  contentType = ''
  contentEncoding = ''
  contentLength = -1
  preflight = false
  headBytes = 0
  bodyBytes = 0
  /** Set when what follows on this connection cannot be trusted to be a request. */
  badFraming: ApiError | undefined
  previous: Exchange | undefined
  next: Exchange | undefined
  #pieces: Buffer[] = []
  #done = false
  #detached = false

  constructor(gate: Gate, response: HttpResponse, pattern: string, headOnly: boolean) {
    this.gate = gate
    this.response = response
    this.pattern = pattern
    this.headOnly = headOnly
  }

  /** Lets the exchange outlive its handler's call, which uWebSockets.js allows only with `onAborted`. */
  detach(): void {
    if (this.#detached) return
    this.#detached = true
    this.gate.pending.add(this)
    this.response.onAborted(() => {
      if (this.#finish() && this.gate.logsRequests) this.#logRequest('aborted by the client')
    })
  }

  /** Throws what makes a request unacceptable whatever its route. */
  checkHead(): void {
    if (this.badFraming) throw this.badFraming
    if (this.headBytes > HEAD_BYTES_MAX) {
      throw new ApiError('headers_too_large', `The request head is over ${HEAD_BYTES_MAX} bytes`)
    }
  }

  /** Collects the body and hands it to `use`, whose throw is answered. The buffer is valid during the call only. */
  receive(use: (bytes: Buffer) => void): void {
    if (this.contentLength > this.gate.bodyBytesMax * DISCARD_FACTOR) {
      this.badFraming = this.#tooLarge()
      throw this.badFraming
    }
    this.detach()
    this.response.onData((chunk, isLast) => {
      if (this.#done) return
      try {
        this.bodyBytes += chunk.byteLength
        if (!isLast) this.#hold(chunk)
        else if (this.bodyBytes > this.gate.bodyBytesMax) throw this.#tooLarge()
        else use(this.#join(chunk))
      } catch (error) {
        this.fail(error)
      }
    })
  }

  /**
   * Answers with a value as JSON, or without a body when it is `undefined`. The value is spent: an array is emptied, so
   * that the promises it came through do not keep its members (see `Tasks.list`). Never throws.
   */
  complete(status: number, headers: string, value: unknown): void {
    if (this.#done) return
    try {
      const body = value === undefined ? undefined : JSON.stringify(value)
      if (Array.isArray(value)) value.length = 0
      this.#send({ status, headers, body })
    } catch (error) {
      this.fail(error)
    }
  }

  /** Answers whatever was thrown. Never throws. */
  fail(thrown: unknown): void {
    if (this.#done) return
    const error = toApiError(thrown)
    if (error.status >= 500) this.#logFailure(error, thrown)
    const problem = {
      error: error.message,
      code: error.code,
      request_id: this.requestId,
      ...(error.errors.length > 0 ? { errors: error.errors } : {}),
    }
    const headers = headerLines(error.headers)
    this.#send({ status: error.status, headers, body: JSON.stringify(problem) })
  }

  #send(answer: Answer): void {
    // An untrusted connection must not be ended while the parser still reads from it (uWebSockets #1936), and an
    // answer without a body is written correctly only outside the handler's own call (uWebSockets #1855).
    if (!this.#detached && (this.badFraming || this.headOnly || answer.body === undefined)) {
      this.detach()
      setImmediate(() => this.#send(answer))
    } else if (this.#pays(answer.body)) {
      this.#sendCompressed(answer, answer.body)
    } else {
      this.#write(answer, answer.body)
    }
  }

  #pays(body: string | undefined): body is string {
    return (
      body !== undefined &&
      body.length >= GZIP_LENGTH_MIN &&
      this.gate.compressions < GZIP_MAX &&
      GZIP_ACCEPTED.test(this.acceptEncoding)
    )
  }

  #sendCompressed(answer: Answer, body: string): void {
    this.detach()
    this.gate.compressions += 1
    // Loaded when a client first wants it: most do not, and it takes half a megabyte.
    const { gzip, constants } = process.getBuiltinModule('node:zlib')
    gzip(body, { level: constants.Z_BEST_SPEED }, (error, compressed) => {
      this.gate.compressions -= 1
      if (error) this.#write(answer, body)
      else this.#write({ ...answer, headers: `${answer.headers}${CONTENT_GZIP}` }, compressed)
    })
  }

  #write(answer: Answer, body: string | Buffer | undefined): void {
    if (!this.#finish()) return
    if (this.#detached) this.response.cork(() => this.#writeNow(answer, body))
    else this.#writeNow(answer, body)
    if (this.gate.logsRequests) this.#logRequest(answer.status)
  }

  #writeNow({ status, headers }: Answer, body: string | Buffer | undefined): void {
    const { response, gate } = this
    if (status !== 200) response.writeStatus(statusLine(status))
    // Ready-made lines in one call: crossing into C++ costs more than the bytes.
    const type = body === undefined ? '' : CONTENT_JSON
    const cors = corsLines(gate.allowedOrigins, this.origin)
    response.writeHeader('x-request-id', this.requestId + type + cors + headers)
    const close = gate.closing || this.badFraming !== undefined
    if (body === undefined) {
      // Without arguments: any would add the Content-Length that RFC 9110, 8.6 forbids on a 204.
      if (close) response.writeHeader('connection', 'close')
      response.endWithoutBody()
    } else if (this.headOnly) {
      response.endWithoutBody(Buffer.byteLength(body), close)
    } else {
      response.end(body, close)
    }
  }

  /** Marks the end, by answer or abort; true only the first time. */
  #finish(): boolean {
    if (this.#done) return false
    this.#done = true
    this.#release()
    if (this.#detached) this.gate.pending.delete(this)
    return true
  }

  /** Keeps a copy of a piece of the body: the chunk is detached when its callback returns. */
  #hold(chunk: ArrayBuffer): void {
    if (this.bodyBytes > this.gate.bodyBytesMax) {
      this.#release()
      return
    }
    if (this.gate.heldBytes + chunk.byteLength > HELD_BYTES_MAX) {
      throw shed('overloaded', 'Too many request bodies are arriving, try again later')
    }
    this.gate.heldBytes += chunk.byteLength
    this.#pieces.push(Buffer.from(chunk.slice(0)))
  }

  #join(last: ArrayBuffer): Buffer {
    if (this.#pieces.length === 0) return Buffer.from(last)
    const whole = Buffer.concat([...this.#pieces, Buffer.from(last)])
    this.#release()
    return whole
  }

  #release(): void {
    for (const piece of this.#pieces) this.gate.heldBytes -= piece.byteLength
    this.#pieces.length = 0
  }

  #tooLarge(): ApiError {
    return new ApiError('payload_too_large', `The body is over ${this.gate.bodyBytesMax} bytes`)
  }

  #logRequest(status: number | string): void {
    const { requestId: request_id, method, pattern: route } = this
    const duration_ms = Math.round((performance.now() - this.startedAtMs) * 1000) / 1000
    this.gate.log.debug({ request_id, method, route, status, duration_ms }, 'Request')
  }

  #logFailure(error: ApiError, thrown: unknown): void {
    const { requestId: request_id, method, pattern: route } = this
    const level = error.status === 500 ? 'error' : 'warn'
    this.gate.log[level](
      { request_id, method, route, code: error.code, err: thrown },
      'Request failed',
    )
  }
}

// Every JSON answer varies, whether this one was compressed or not.
const CONTENT_JSON = `${CRLF}content-type: application/json${CRLF}vary: Accept-Encoding`
const CONTENT_GZIP = `${CRLF}content-encoding: gzip`

/** Reads the head of a request, which is gone as soon as the handler's call returns. */
export function openExchange(
  gate: Gate,
  response: HttpResponse,
  request: HttpRequest,
  pattern: string,
  headOnly = false,
): Exchange {
  const exchange = new Exchange(gate, response, pattern, headOnly)
  exchange.method = request.getCaseSensitiveMethod()
  exchange.headBytes = request.getUrl().length + (request.getQuery()?.length ?? 0)
  current = exchange
  request.forEach(captureHeader)
  exchange.requestId = gate.requestId(exchange.requestId)
  return exchange
}

// `forEach` is synchronous, so one callback serves all requests and nothing is allocated per request.
let current: Exchange

function captureHeader(name: string, value: string): void {
  current.headBytes += name.length + value.length + 4
  switch (name) {
    case 'authorization':
      current.authorization = value
      break
    case 'x-request-id':
      current.requestId = value
      break
    case 'accept-encoding':
      current.acceptEncoding = value
      break
    case 'origin':
      current.origin = value
      break
    case 'content-type':
      current.contentType = value
      break
    case 'content-encoding':
      current.contentEncoding = value
      break
    case 'content-length':
      // The parser uses the first of several lengths; behind a proxy that is request smuggling (uWebSockets #1501).
      if (current.contentLength >= 0) current.badFraming = invalidRequest('Send one Content-Length')
      current.contentLength = Number(value)
      break
    case 'transfer-encoding':
      // The parser's chunk handling is lax, another way to smuggle (uWebSockets #1936).
      current.badFraming = new ApiError('length_required', 'Send Content-Length, not chunks')
      break
    case 'access-control-request-method':
      current.preflight = true
      break
  }
}

function lateness(exchange: Exchange): ApiError {
  if (exchange.bodyBytes < exchange.contentLength) {
    exchange.badFraming = new ApiError('request_timeout', 'The body did not arrive in time')
    return exchange.badFraming
  }
  return shed('deadline_exceeded', 'No answer in time; a write may have happened')
}
