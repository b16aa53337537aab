// Runs in listeners. Reads the head of a request while uWebSockets.js still has it, and refuses what is unacceptable.
import { invalidRequest, Problem } from './problem.ts'
import type { HttpRequest } from './uws.ts'

/** Largest request head, in bytes: room for a token, cookies and trace headers. */
const HEAD_BYTES_MAX = 16_384

/** What later steps need of a request's head; an absent header is the empty string. */
export class Head {
  method = ''
  bytes = 0
  requestId = ''
  authorization = ''
  acceptEncoding = ''
  origin = ''
  forwarded = ''
  forwardedFor = ''
  contentType = ''
  contentEncoding = ''
  /** -1 when there is none. */
  contentLength = -1
  preflight = false
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
  return head
}

/** Throws when the request is unacceptable, whatever its route. */
export function checkHead({ head }: { readonly head: Head }): void {
  if (head.untrusted) throw head.untrusted
  if (head.bytes > HEAD_BYTES_MAX) {
    throw new Problem('headers_too_large', `The request head is over ${HEAD_BYTES_MAX} bytes`)
  }
}

// `forEach` is synchronous, so one callback serves all requests and nothing is allocated per request.
let current: Head

function captureHeader(name: string, value: string): void {
  current.bytes += name.length + value.length + 4
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
    case 'forwarded':
      current.forwarded = joined(current.forwarded, value)
      break
    case 'x-forwarded-for':
      current.forwardedFor = joined(current.forwardedFor, value)
      break
    case 'content-type':
      current.contentType = value
      break
    case 'content-encoding':
      current.contentEncoding = value
      break
    case 'content-length':
      // The parser uses the first of several lengths; behind a proxy that is request smuggling (uWebSockets #1501).
      if (current.contentLength >= 0)
        current.untrusted = invalidRequest('Send only one Content-Length')
      current.contentLength = Number(value)
      break
    case 'transfer-encoding':
      // The parser's chunk handling is lax, another way to smuggle (uWebSockets #1936).
      current.untrusted = new Problem('length_required', 'Send Content-Length, not chunks')
      break
    case 'access-control-request-method':
      current.preflight = true
      break
  }
}

/** The lines of a header are one list (RFC 9110, 5.3). */
function joined(before: string, value: string): string {
  return before === '' ? value : `${before},${value}`
}
