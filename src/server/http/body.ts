// Runs in listeners. Receives the body of a request within the limits, and counts every byte that it holds.
import { isUtf8 } from 'node:buffer'
import type { TObject } from '@sinclair/typebox'
import { type Exchange, type Step, WAITS } from './exchange.ts'
import { invalidRequest, Problem, shed, TOO_MANY_REQUESTS } from './problem.ts'
import { checked, compileValidator } from './validate.ts'

const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?$/i
/** A body over the limit is read and thrown away up to this many times the limit, so that the client sees its 413. */
const DISCARD_FACTOR = 16

/** Throws unless the body is plain JSON. */
export function checkMediaType({ head: { contentType, contentEncoding } }: Exchange): void {
  if (!JSON_TYPE.test(contentType)) {
    throw new Problem('unsupported_media_type', 'Send the body as Content-Type: application/json')
  }
  if (contentEncoding !== '' && contentEncoding.toLowerCase() !== 'identity') {
    throw new Problem('unsupported_media_type', 'Send the body without Content-Encoding')
  }
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
    exchange.resume()
  }
  return (exchange) => {
    const { bodyBytesMax } = exchange.host.options
    if (exchange.head.contentLength > bodyBytesMax * DISCARD_FACTOR) {
      exchange.untrusted = tooLarge(bodyBytesMax)
      throw exchange.untrusted
    }
    exchange.onData(take)
    return WAITS
  }
}

/** Returns the whole body with its last piece; it is valid as long as `piece` is. Throws when a limit is exceeded. */
function addPiece(exchange: Exchange, piece: ArrayBuffer, isLast: boolean): Buffer | undefined {
  const { bodyBytesMax } = exchange.host.options
  exchange.bodyBytes += piece.byteLength
  const fits = exchange.bodyBytes <= bodyBytesMax
  if (!isLast) {
    if (fits) hold(exchange, piece)
    else exchange.release()
    return undefined
  }
  if (!fits) throw tooLarge(bodyBytesMax)
  if (exchange.pieces.length === 0) return Buffer.from(piece)
  const whole = Buffer.concat([...exchange.pieces, Buffer.from(piece)])
  exchange.release()
  return whole
}

/** Keeps a copy: the piece is detached when its callback returns. */
function hold(exchange: Exchange, piece: ArrayBuffer): void {
  const { host } = exchange
  if (!host.heldBytes.hasRoom(piece.byteLength)) {
    throw shed('overloaded', 'Too many request bodies are arriving, try again later')
  }
  if (!host.heldBytes.take(exchange.client, piece.byteLength)) throw TOO_MANY_REQUESTS
  exchange.pieces = [...exchange.pieces, Buffer.from(piece.slice(0))]
}

function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw invalidRequest('The body is not valid UTF-8')
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw invalidRequest('The body is not valid JSON')
  }
}

function tooLarge(bytesMax: number): Problem {
  return new Problem('payload_too_large', `The body is over ${bytesMax} bytes`)
}
