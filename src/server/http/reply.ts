// Runs in listeners. Turns a reply into the bytes of an answer.
import { type Exchange, WAITS } from './exchange.ts'
import { CRLF } from './headers.ts'
import { logRequest } from './request-log.ts'
import { Ready } from './route.ts'
import { endTrace } from './tracing.ts'

/** A shorter answer fits into one packet anyway, so gzip would save nothing. */
const GZIP_LENGTH_MIN = 1024
/** What zlib takes beside the answer, in bytes. */
const GZIP_STATE_BYTES = 300_000
const GZIP_ACCEPTED = /(?:^|,)\s*gzip\s*(?:;\s*q\s*=\s*(?!0(?:\.0*)?\s*(?:,|$))[\d.]+\s*)?(?:,|$)/i

/** Lets a refusal wait while too many go out. */
export function pace(exchange: Exchange): typeof WAITS | void {
  const { refused, host, request } = exchange
  if (!refused || !host.refusals.hold(exchange)) return undefined
  // What arrives meanwhile is dropped, which must be said while the handler's call lasts.
  if (request && !exchange.bodyArrived && !exchange.head.chunked) exchange.listen()
  return WAITS
}

/** Writes the body as JSON, unless it is ready or there is none. */
export function encode(exchange: Exchange): void {
  const body = exchange.outgoing?.body
  if (body === undefined) exchange.payload = undefined
  else exchange.payload = body instanceof Ready ? body.json : JSON.stringify(body)
}

/** Compresses a body that is worth it, for a client that accepts it. */
export function compress(exchange: Exchange): typeof WAITS | void {
  const { host, payload, outgoing, head } = exchange
  if (payload === undefined || payload.length < GZIP_LENGTH_MIN) return undefined
  if (exchange.ending === 'ours') return undefined
  const bytes = payload.length + GZIP_STATE_BYTES
  const hasRoom = host.compressionBytes + bytes <= host.compressionBytesMax
  if (!outgoing || !hasRoom || !GZIP_ACCEPTED.test(head.acceptEncoding)) return undefined
  host.compressionBytes += bytes
  // Loaded when a client first asks for it: most never do, and it takes half a megabyte.
  const { gzip, constants } = process.getBuiltinModule('node:zlib')
  gzip(payload, { level: constants.Z_BEST_SPEED }, (error, compressed) => {
    host.compressionBytes -= bytes
    host.countUsed(payload.length)
    if (!error) {
      exchange.payload = compressed
      outgoing.headers += `${CRLF}content-encoding: gzip`
    }
    exchange.resume()
  })
  return WAITS
}

/**
 * Waits, where it matters, until the parser is done with what it has read. Behind an answer that ends its connection, it
 * would serve the rest (uWebSockets #1936); a promise that is settled already comes back while it still does. And an answer
 * without a body is written correctly only outside the handler's own call (uWebSockets #1855).
 */
export function leaveParser(exchange: Exchange): typeof WAITS | void {
  const { parsing, ending, head, headOnly, payload, request } = exchange
  if (ending === undefined && (!parsing || (!headOnly && payload !== undefined))) return undefined
  // Nobody listens to chunks that nobody wants: there can be one for each byte.
  if (ending === 'ours' && request && !head.chunked) exchange.listen()
  setImmediate(() => exchange.resume())
  return WAITS
}

export function send(exchange: Exchange): void {
  exchange.send()
}

export function observe(exchange: Exchange): void {
  const { outgoing, tally, head, startedAtMs } = exchange
  if (!outgoing) return
  tally.countAnswer(head.method, outgoing.status, performance.now() - startedAtMs)
  logRequest(exchange, outgoing.status)
  endTrace(exchange, outgoing.status)
}
