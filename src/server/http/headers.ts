// Runs in listeners. The ready-made parts of an answer's head; each is a run of lines that starts with CR LF.
import { PROBLEMS } from './problem.ts'

export const CRLF = '\r\n'

const EXPOSED_HEADERS = 'X-Request-Id, Location, Link, Retry-After, WWW-Authenticate'
const ANY_ORIGIN = '\r\naccess-control-allow-origin: *'
const EXPOSE = `\r\naccess-control-expose-headers: ${EXPOSED_HEADERS}`
const VARY_ORIGIN = '\r\nvary: Origin'
const PREFLIGHT =
  '\r\naccess-control-allow-headers: Authorization, Content-Type, X-Request-Id\r\naccess-control-max-age: 600'

/** The origins that a browser may call from; `undefined` for any. */
export type AllowedOrigins = ReadonlySet<string> | undefined

/** Header lines of a record; names and values must be free of CR and LF. */
export function headerLines(headers: Readonly<Record<string, string | undefined>>): string {
  let lines = ''
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) lines += `${CRLF}${name}: ${value}`
  }
  return lines
}

/** RFC 9110, section 15. Problems bring their own reasons; node:http has every reason, but costs 0.7 MB per process. */
const STATUS_LINES = new Map([
  [200, '200 OK'],
  [201, '201 Created'],
  [204, '204 No Content'],
  ...Object.values(PROBLEMS).map(({ status, reason }): [number, string] => [
    status,
    `${status} ${reason}`,
  ]),
])

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
