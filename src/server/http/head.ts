// Runs in listeners. Reads the head of a request while uWebSockets.js still has it, and refuses what is unacceptable.
import { invalidRequest, Problem } from './problem.ts'
import type { HttpRequest } from './uws.ts'

/** Largest request head, in bytes: room for a token, cookies and trace headers. */
const HEAD_BYTES_MAX = 16_384
const KEEP_ALIVE = /^keep-alive$/i
const DIGITS = /^\d+$/
const HAS_CLOSE = /(?:^|,)\s*close\s*(?:,|$)/i

/** What later steps need of a request's head; an absent header is the empty string. */
export class Head {
  method = ''
  bytes = 0
  requestId = ''
  traceparent = ''
  tracestate = ''
  authorization = ''
  acceptEncoding = ''
  origin = ''
  forwarded = ''
  forwardedFor = ''
  contentType = ''
  contentEncoding = ''
  /** -1 when there is none. */
  contentLength = -1
  /** True when the body comes in chunks. */
  chunked = false
  /** True when a body may come that nothing announces. */
  unframed = false
  /** True when uWebSockets.js ends the connection behind the answer, as the client asks. */
  closes = false
  /** True when the client asks for the same in a list, of which uWebSockets.js takes no notice. */
  closesByList = false
  /** True when the client waits for an interim answer that uWebSockets.js does not give. */
  expectsContinue = false
  /** True when nothing in it bears on whether the connection can stay, as with nearly every GET. */
  bare = true
  preflight = false
  /** True when the client asks for a connection that is kept, as HTTP/1.0 did: such clients heed `Keep-Alive`. */
  keepAlive = false
  /** Set when the request must be refused, whatever its route. */
  refusal: Problem | undefined
  /** Set when what follows on this connection cannot be trusted to be a request. */
  untrusted: Problem | undefined
}

/** Copies the head, which uWebSockets.js keeps only until the handler's call returns. */
export function readHead(request: HttpRequest): Head {
  const head = new Head()
  head.method = request.getCaseSensitiveMethod()
  head.bytes = request.getUrl().length + (request.getQuery()?.length ?? 0)
  current = head
  request.forEach(captureHeader)
  if (head.method !== 'GET') {
    head.bare = false
    // The parser hides all headers behind one without a name, and with them the length of a body (before 20.69).
    if (head.contentLength < 0 && !head.chunked) head.unframed = mayHaveBody(head.method)
  }
  return head
}

/** Throws when the request is unacceptable, whatever its route. */
export function checkHead({ head }: { readonly head: Head }): void {
  if (head.untrusted) throw head.untrusted
  if (head.refusal) throw head.refusal
  if (head.bytes > HEAD_BYTES_MAX) {
    throw new Problem('headers_too_large', `The request head is over ${HEAD_BYTES_MAX} bytes`)
  }
}

function mayHaveBody(method: string): boolean {
  return method === 'POST' || method === 'PATCH' || method === 'PUT'
}

// `forEach` is synchronous, so one callback serves all requests and nothing is allocated per request.
let current: Head

function captureHeader(name: string, value: string): void {
  current.bytes += name.length + value.length + 4
  switch (name) {
    case 'authorization':
      if (current.authorization !== '') refuseRepeated('Authorization')
      current.authorization = value
      break
    case 'x-request-id':
      current.requestId = value
      break
    case 'traceparent':
      current.traceparent = joined(current.traceparent, value)
      break
    case 'tracestate':
      current.tracestate = joined(current.tracestate, value)
      break
    case 'accept-encoding':
      current.acceptEncoding = value
      break
    case 'origin':
      current.origin = value
      break
    case 'forwarded':
      current.forwarded = joined(current.forwarded, value)
      break
    case 'x-forwarded-for':
      current.forwardedFor = joined(current.forwardedFor, value)
      break
    case 'content-type':
      if (current.contentType !== '') refuseRepeated('Content-Type')
      current.contentType = value
      break
    case 'content-encoding':
      current.contentEncoding = joined(current.contentEncoding, value)
      break
    case 'content-length':
      readLength(value)
      break
    case 'transfer-encoding':
      readTransferEncoding(value)
      break
    case 'connection':
      readConnection(value)
      break
    case 'expect':
      // The parser answers this spelling itself.
      if (value !== '100-continue' && value.toLowerCase() === '100-continue') {
        current.expectsContinue = true
      }
      break
    case 'access-control-request-method':
      current.preflight = true
      break
  }
}

/** The parser uses the first of several lengths, and takes an empty one for 0 (uWebSockets #1501): request smuggling. */
function readLength(value: string): void {
  current.bare = false
  if (current.contentLength >= 0) current.untrusted = invalidRequest('Send only one Content-Length')
  else if (!DIGITS.test(value)) current.untrusted = invalidRequest('Content-Length is not a number')
  else if (current.chunked) refuseBothFramings()
  current.contentLength = Number(value)
}

/** The parser takes any value for chunks, and is lax about those (uWebSockets #1936), so the connection ends anyway. */
function readTransferEncoding(value: string): void {
  current.bare = false
  if (current.contentLength >= 0) refuseBothFramings()
  else if (current.chunked) current.untrusted = invalidRequest('Send only one Transfer-Encoding')
  else if (value.toLowerCase() !== 'chunked') {
    current.untrusted = new Problem(
      'not_implemented',
      'Send the body with Transfer-Encoding: chunked',
    )
  }
  current.chunked = true
}

function readConnection(value: string): void {
  // uWebSockets.js looks only at the length of the value.
  if (value.length === 'close'.length) current.closes = true
  else if (HAS_CLOSE.test(value)) current.closesByList = true
  else current.keepAlive = KEEP_ALIVE.test(value)
  if (current.closes || current.closesByList) current.bare = false
}

function refuseBothFramings(): void {
  current.untrusted = invalidRequest('Send Content-Length or Transfer-Encoding, not both')
}

/** Which of them counts is a question that two programs may answer differently. */
function refuseRepeated(name: string): void {
  current.refusal = invalidRequest(`Send only one ${name}`)
}

/** The lines of a header are one list (RFC 9110, 5.3). */
function joined(before: string, value: string): string {
  return before === '' ? value : `${before},${value}`
}
