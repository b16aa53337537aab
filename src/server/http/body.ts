// Runs in listeners. Receives the body of a request within the limits, and counts every byte that it holds.
import { isUtf8 } from 'node:buffer'
import type { TObject } from '@sinclair/typebox'
import { CHUNKS_MAX } from './crumbs.ts'
import { mustEnd } from './ending.ts'
import { type Exchange, type Step, WAITS } from './exchange.ts'
import { refuseManyValues } from './json-limit.ts'
import { invalidRequest, Problem, shed, TOO_MANY_REQUESTS } from './problem.ts'
import { checked, compileValidator } from './validate.ts'

/** The first room for a body that arrives in pieces, in bytes; then it doubles. */
const ROOM_BYTES_MIN = 1024
const JSON_TYPE = 'application/json'
/** RFC 7396: exactly what a PATCH does. */
const MERGE_PATCH_TYPE = 'application/merge-patch+json'
const NOT_JSON = invalidRequest('The body is not valid JSON')
const IN_CRUMBS = invalidRequest(`The body comes in more than ${CHUNKS_MAX} chunks`)
const CHARSET = /^charset\s*=\s*"?([^"]*)"?$/i

/** Throws unless the body is plain JSON. */
export function checkMediaType({ head: { method, contentType, contentEncoding } }: Exchange): void {
  if (contentType !== JSON_TYPE && !isJson(contentType, method)) {
    throw new Problem('unsupported_media_type', 'Send the body as Content-Type: application/json')
  }
  if (contentEncoding !== '' && contentEncoding.toLowerCase() !== 'identity') {
    throw new Problem('unsupported_media_type', 'Send the body without Content-Encoding')
  }
}

/** Parameters change nothing, except a charset that JSON cannot have. */
function isJson(contentType: string, method: string): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';')
  const name = type.trim()
  if (name !== JSON_TYPE && !(name === MERGE_PATCH_TYPE && method === 'PATCH')) return false
  return parameters.every((parameter) => {
    const charset = CHARSET.exec(parameter.trim())?.[1]
    return charset === undefined || charset === 'utf-8' || charset === 'utf8'
  })
}

/** Makes the step that waits for the whole body, parses it and checks it. */
export function receiveBody(schema: TObject): Step {
  const validator = compileValidator(schema)
  const take = (exchange: Exchange, piece: ArrayBuffer, isLast: boolean) => {
    try {
      const whole = addPiece(exchange, piece, isLast)
      if (!whole) return
      exchange.received.body = checked(validator, parseJson(whole), 'body')
    } catch (error) {
      exchange.fail(error)
      return
    }
    // Whatever is behind chunks ends the connection, and then what they asked for must not have happened.
    if (exchange.head.chunked) setImmediate(() => exchange.resume())
    else exchange.resume()
  }
  return (exchange) => {
    const { head, host, startedAtMs } = exchange
    if (head.chunked && host.crumbs.has(exchange.client, startedAtMs)) throw TOO_MANY_REQUESTS
    if (head.unframed) {
      throw new Problem('length_required', 'Send Content-Length, or the body in chunks')
    }
    // What the connection would not survive is not read first: the client gets its answer at once.
    if (!head.chunked && mustEnd(exchange) && head.contentLength > host.options.bodyBytesMax) {
      throw tooLarge(host.options.bodyBytesMax)
    }
    // Of a body without bytes, uWebSockets.js says nothing when the head has come in pieces.
    if (!head.chunked && head.contentLength === 0) throw NOT_JSON
    exchange.receive(take)
    return WAITS
  }
}

/** Returns the whole body with its last piece; it is valid as long as `piece` is. Throws when a limit is exceeded. */
function addPiece(exchange: Exchange, piece: ArrayBuffer, isLast: boolean): Buffer | undefined {
  const { bodyBytesMax } = exchange.host.options
  const fits = exchange.bodyBytes <= bodyBytesMax
  if (exchange.head.chunked) {
    // The end of chunks may never come, so the answer does not wait for it.
    if (!fits) throw tooLarge(bodyBytesMax)
    if (exchange.bodyPieces > CHUNKS_MAX) throw IN_CRUMBS
  }
  if (!isLast) {
    if (fits) hold(exchange, piece)
    else exchange.release()
    return undefined
  }
  if (!fits) throw tooLarge(bodyBytesMax)
  const [room] = exchange.pieces
  if (!room) return Buffer.from(piece)
  const arrived = room.subarray(0, exchange.bodyBytes - piece.byteLength)
  const whole = Buffer.concat([arrived, Buffer.from(piece)])
  exchange.release()
  return whole
}

/**
 * Copies the piece, which is detached when its callback returns, into one room for all of them: a buffer for each piece
 * would take hundreds of bytes that nothing counts, and a client chooses how small its pieces are.
 */
function hold(exchange: Exchange, piece: ArrayBuffer): void {
  const { host, bodyBytes } = exchange
  const arrivedBytes = bodyBytes - piece.byteLength
  let [room] = exchange.pieces
  if (!room || room.length < bodyBytes) {
    const before = room?.length ?? 0
    const doubled = Math.max(ROOM_BYTES_MIN, 2 * before, bodyBytes)
    const size = Math.min(doubled, host.options.bodyBytesMax)
    if (!host.heldBytes.hasRoom(size - before)) {
      throw shed('overloaded', 'Too many request bodies are arriving, try again later')
    }
    if (!host.heldBytes.take(exchange.client, size - before)) throw TOO_MANY_REQUESTS
    const larger = Buffer.allocUnsafeSlow(size)
    room?.copy(larger, 0, 0, arrivedBytes)
    exchange.pieces = [larger]
    room = larger
  }
  room.set(new Uint8Array(piece), arrivedBytes)
}

function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw invalidRequest('The body is not valid UTF-8')
  refuseManyValues(bytes)
  try {
    return JSON.parse(bytes.toString('utf8', startsWithMark(bytes) ? 3 : 0))
  } catch {
    throw NOT_JSON
  }
}

/** A byte order mark (RFC 8259, 8.1, lets a parser ignore it). */
function startsWithMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}

function tooLarge(bytesMax: number): Problem {
  return new Problem('payload_too_large', `The body is over ${bytesMax} bytes`)
}
