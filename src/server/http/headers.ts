// Runs in listeners. The ready-made parts of an answer's head; each is a run of lines that starts with CR LF.

export const CRLF = '\r\n'

const EXPOSED_HEADERS = 'X-Request-Id, Location, Link, Retry-After, WWW-Authenticate'
const ANY_ORIGIN = '\r\naccess-control-allow-origin: *'
const EXPOSE = `\r\naccess-control-expose-headers: ${EXPOSED_HEADERS}`
const VARY_ORIGIN = '\r\nvary: Origin'
const PREFLIGHT =
  '\r\naccess-control-allow-headers: Authorization, Content-Type, X-Request-Id\r\naccess-control-max-age: 600'

/** `*` for any, else the origins that a browser may call from. */
export type AllowedOrigins = ReadonlySet<string> | undefined

/** Header lines of a record; names and values must be free of CR and LF. */
export function headerLines(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${CRLF}${name}: ${value}`)
    .join('')
}

/** RFC 9110, section 15, for the statuses of this service. node:http has them all, at 0.7 MB per process. */
const REASONS: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  411: 'Length Required',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

const STATUS_LINES = new Map(
  Object.entries(REASONS).map(([status, reason]) => [Number(status), `${status} ${reason}`]),
)

export function statusLine(status: number): string {
  return STATUS_LINES.get(status) ?? `${status} `
}

/** The CORS lines for a request from `origin` (empty when the request names none). */
export function corsLines(allowed: AllowedOrigins, origin: string): string {
  if (allowed === undefined) return origin === '' ? ANY_ORIGIN : ANY_ORIGIN + EXPOSE
  if (!allowed.has(origin)) return VARY_ORIGIN
  return `\r\naccess-control-allow-origin: ${origin}${VARY_ORIGIN}${EXPOSE}`
}

/** The lines that answer OPTIONS; a CORS preflight gets more of them. */
export function optionsLines(allow: string, preflight: boolean): string {
  const lines = `\r\nallow: ${allow}`
  return preflight ? `${lines}\r\naccess-control-allow-methods: ${allow}${PREFLIGHT}` : lines
}
