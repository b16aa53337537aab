// Runs in listeners. Writes answers to a response of uWebSockets.js, each in the way that leaves its connection right.
import { CRLF, statusLine } from './headers.ts'
import type { HttpResponse } from './uws.ts'

const FIRST_HEADER = 'x-request-id'
/** The kernel takes so many bytes at once of a connection whose client has read what came before. */
export const AT_ONCE_BYTES_MAX = 16 * 1024
/** A longer answer is always offered; a shorter one is rather buffered, which takes 0.3 us less. */
const SMALL_LENGTH_MAX = 2048
/**
 * One in so many small answers is offered, too. uWebSockets.js buffers the others whether the client reads or not, so a
 * client that never reads has about so many of them in memory, and then no further request is served on its connection.
 * The choice is random, so that no client can foresee it.
 */
const SMALL_RUN = 64

/** What is answered: a reply of a handler, or a problem. */
export interface Outgoing {
  status: number
  /** Header lines. */
  headers: string
  /** A value that becomes JSON, `Ready` JSON, or nothing. */
  body: unknown
}

/**
 * What ends a connection behind an answer: uWebSockets.js because the client asked for it or because the listener is
 * closing, or, where it would end too early or serve what follows, we do.
 */
export type Ending = 'asked' | 'closing' | 'ours'

/** An answer other than one with a body on a connection that stays. */
interface Unusual {
  status: number
  /** The request id and further header lines. */
  lines: string
  /** True after `writeContinue`. */
  continued: boolean
  headOnly: boolean
  ending: Ending | undefined
}

/** Writes a whole answer. False when the client has not taken all of it: then `writeRest` goes on. */
export function writeUsual(
  response: HttpResponse,
  status: number,
  lines: string,
  payload: string | Buffer,
): boolean {
  // All lines go in one call, ready-made: crossing into C++ costs more than the bytes.
  if (status !== 200) response.writeStatus(statusLine(status))
  response.writeHeader(FIRST_HEADER, lines)
  if (payload.length <= SMALL_LENGTH_MAX && Math.random() * SMALL_RUN > 1) {
    response.end(payload)
    return true
  }
  // With a size of 0, the length of the payload is the size.
  return response.tryEnd(payload, 0)[1]
}

/** Does the same for every other answer. */
export function writeUnusual(
  response: HttpResponse,
  answer: Unusual,
  payload: string | Buffer | undefined,
): boolean {
  const { headOnly, ending } = answer
  if (ending === 'ours') {
    writeUnfinished(response, answer, payload)
    return true
  }
  writeHead(response, answer)
  if (payload === undefined || headOnly) {
    writeNoBody(response, payload, ending)
    return true
  }
  // A longer one waits for its reader where it is counted; its client closes the connection, or it is closed as an idle one.
  if (ending === 'closing' && payload.length <= AT_ONCE_BYTES_MAX) {
    response.end(payload, true)
    return true
  }
  if (ending !== undefined) response.writeHeader('connection', 'close')
  return response.tryEnd(payload, 0)[1]
}

/** Asks the client to send its body (RFC 9110, 10.1.1). The status line of the answer then follows a blank line. */
export function writeContinue(response: HttpResponse): void {
  response.writeStatus(`100 Continue${CRLF}`)
}

/** Goes on from `offset`. Returns whether the socket took it all, and whether the answer is complete. */
export function writeRest(response: HttpResponse, bytes: Buffer, offset: number) {
  return response.tryEnd(bytes.subarray(offset), bytes.byteLength)
}

/**
 * HEAD says how long the body would be (RFC 9110, 9.3.2); on a 204 the length is forbidden (8.6). We write the header
 * ourselves, because `endWithoutBody` never counts the response as done when it is given a length.
 */
function writeNoBody(
  response: HttpResponse,
  payload: string | Buffer | undefined,
  ending: Ending | undefined,
): void {
  if (payload !== undefined) {
    response.writeHeader('content-length', String(Buffer.byteLength(payload)))
  }
  if (ending !== undefined) response.writeHeader('connection', 'close')
  response.endWithoutBody()
}

/**
 * Writes a whole answer as one header, so that uWebSockets.js still takes the request for unanswered. It then closes the
 * connection at whatever looks like another request, and hands us what is left of the body instead of keeping the
 * connection. The CR LF that ends a header is white space behind the JSON.
 */
function writeUnfinished(
  response: HttpResponse,
  answer: Unusual,
  payload: string | Buffer | undefined,
): void {
  let lines = `${answer.lines}${CRLF}date: ${new Date().toUTCString()}${CRLF}connection: close`
  if (payload !== undefined) {
    lines += `${CRLF}content-length: ${Buffer.byteLength(payload) + CRLF.length}`
  }
  lines += CRLF
  if (payload !== undefined && !answer.headOnly) lines += CRLF + payload.toString()
  writeHead(response, { ...answer, lines })
}

function writeHead(response: HttpResponse, { status, lines, continued }: Unusual): void {
  if (continued) {
    // uWebSockets.js knows one status line per request, and that was the interim one.
    response.writeHeader(`HTTP/1.1 ${statusLine(status)}${CRLF}${FIRST_HEADER}`, lines)
    return
  }
  if (status !== 200) response.writeStatus(statusLine(status))
  response.writeHeader(FIRST_HEADER, lines)
}
