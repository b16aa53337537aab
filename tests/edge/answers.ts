// Reads the answers of a server strictly: what a lenient reader would forgive is an error here.

export interface Answer {
  status: number
  /** Lower-case names; a repeated one has its values joined by a comma. */
  headers: Map<string, string>
  /** As bytes, one character each. */
  body: string
  /** Whether the connection must end after it. */
  closes: boolean
  /** A page of uWebSockets.js itself: its parser refuses a request before any of our code sees it. */
  page: boolean
}

const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d) [\t\x20-\x7e]*$/
const HEADER_LINE = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*$/
const LENGTH = /^(?:0|[1-9]\d{0,14})$/
const PAGE_STATUSES: ReadonlySet<number> = new Set([400, 431, 505])
/** Headers that an answer must not have twice. */
const SINGLE: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'date',
  'location',
  'transfer-encoding',
  'x-request-id',
])

export class BrokenAnswer extends Error {
  override readonly name = 'BrokenAnswer'
}

/**
 * Takes one answer to a request of `method` off the start of `bytes`; `undefined` while it is not complete. An interim
 * answer (1xx) is an answer of its own. Throws for whatever RFC 9112 does not allow.
 */
export function takeAnswer(
  bytes: string,
  method: string,
  ended: boolean,
): { answer: Answer; rest: string } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) {
    if (ended && bytes !== '') throw new BrokenAnswer(`Cut off: ${bytes.slice(0, 200)}`)
    return undefined
  }
  const { status, headers } = readHead(bytes.slice(0, headEnd))
  const after = bytes.slice(headEnd + 4)
  const page = isPage(status, headers)
  const closes = /(?:^|,)\s*close\s*(?:,|$)/i.test(headers.get('connection') ?? '')
  const length = page ? undefined : bodyLength(status, headers, method)
  if (length === undefined) {
    if (!ended) return undefined
    return { answer: { status, headers, body: after, closes, page }, rest: '' }
  }
  if (after.length < length) {
    if (ended) throw new BrokenAnswer(`${after.length} of ${length} bytes of a body came`)
    return undefined
  }
  const body = after.slice(0, length)
  return { answer: { status, headers, body, closes, page }, rest: after.slice(length) }
}

function readHead(head: string): { status: number; headers: Map<string, string> } {
  const [first = '', ...lines] = head.split('\r\n')
  const status = Number(STATUS_LINE.exec(first)?.[1])
  if (!status) throw new BrokenAnswer(`Not a status line: ${first.slice(0, 200)}`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const match = HEADER_LINE.exec(line)
    if (!match) throw new BrokenAnswer(`Not a header line: ${line.slice(0, 200)}`)
    const [, name = '', value = ''] = match
    const key = name.toLowerCase()
    const earlier = headers.get(key)
    if (earlier !== undefined && SINGLE.has(key)) throw new BrokenAnswer(`Two lines of ${key}`)
    headers.set(key, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  return { status, headers }
}

function isPage(status: number, headers: ReadonlyMap<string, string>): boolean {
  return PAGE_STATUSES.has(status) && headers.size === 1 && headers.get('connection') === 'close'
}

/** RFC 9112, section 6.3; the service itself never sends chunks. */
function bodyLength(status: number, headers: ReadonlyMap<string, string>, method: string): number {
  if (headers.has('transfer-encoding')) throw new BrokenAnswer('An answer in chunks')
  const length = headers.get('content-length')
  if (length !== undefined && !LENGTH.test(length)) throw new BrokenAnswer(`Length "${length}"`)
  if (status < 200 || status === 204) {
    if (length !== undefined) throw new BrokenAnswer(`A length on a ${status}`)
    return 0
  }
  if (status === 304 || method === 'HEAD') return 0
  if (length === undefined) throw new BrokenAnswer(`A ${status} without its length`)
  return Number(length)
}
