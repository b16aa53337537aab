// Runs in listeners. The ready-made parts of an answer's head; each is a run of lines that starts with CR LF.
import { PROBLEMS } from './problem.ts'

export const CRLF = '\r\n'

/** Stops a browser from taking an answer for something else than its type says, such as a script. */
const NOSNIFF = '\r\nx-content-type-options: nosniff'
/** The lines of every answer without a body. */
const NO_CONTENT = `${NOSNIFF}\r\nvary: Origin`
/** The lines of every answer with a body; all say that they vary, whether this one was compressed or not. */
const CONTENT_JSON = `\r\ncontent-type: application/json${NOSNIFF}\r\nvary: Accept-Encoding, Origin`
/** No cache may keep what belongs to an account, nor a failure. */
export const NO_STORE = '\r\ncache-control: no-store'
/**
 * For clients that ask for it. uWebSockets.js closes an idle connection after 8 to 12 seconds; a request that is sent
 * just then would be lost, so clients must close first, whatever the delay of the network.
 */
const KEEP_ALIVE = '\r\nkeep-alive: timeout=7'

const EXPOSED_HEADERS =
  'X-Request-Id, Location, Link, Retry-After, WWW-Authenticate, RateLimit, RateLimit-Policy'
const ANY_ORIGIN = '\r\naccess-control-allow-origin: *'
const EXPOSE = `\r\naccess-control-expose-headers: ${EXPOSED_HEADERS}`
/** Some caches keep answers to OPTIONS, although they must not. */
const VARY_PREFLIGHT = '\r\nvary: Access-Control-Request-Method, Access-Control-Request-Headers'
/** How long browsers may remember a preflight: the most that Chromium accepts. */
const MAX_AGE = '\r\naccess-control-max-age: 7200'

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
  [308, '308 Permanent Redirect'],
  ...Object.values(PROBLEMS).map(({ status, reason }): [number, string] => [
    status,
    `${status} ${reason}`,
  ]),
])

export function statusLine(status: number): string {
  return STATUS_LINES.get(status) ?? `${status} `
}

/** The lines that every answer has. */
export function commonLines(
  allowed: AllowedOrigins,
  request: { readonly origin: string; readonly keepAlive: boolean },
  hasBody: boolean,
  closes: boolean,
): string {
  const content = hasBody ? CONTENT_JSON : NO_CONTENT
  const hint = request.keepAlive && !closes ? KEEP_ALIVE : ''
  return content + corsLines(allowed, request.origin) + hint
}

/** The CORS lines for a request from `origin` (empty when the request names none). */
function corsLines(allowed: AllowedOrigins, origin: string): string {
  if (allowed === undefined) return origin === '' ? ANY_ORIGIN : ANY_ORIGIN + EXPOSE
  return allowed.has(origin) ? `\r\naccess-control-allow-origin: ${origin}${EXPOSE}` : ''
}

/** The lines that answer OPTIONS. */
export function optionsLines(allow: string): string {
  return `\r\nallow: ${allow}${VARY_PREFLIGHT}`
}

/** The lines that answer a CORS preflight. */
export function preflightLines(allow: string, allowedHeaders: string): string {
  const allowed = `\r\naccess-control-allow-methods: ${allow}\r\naccess-control-allow-headers: ${allowedHeaders}`
  return `${optionsLines(allow)}${allowed}${MAX_AGE}`
}

/**
 * The value of `Access-Control-Allow-Headers`. When any origin may call, it may send any header. The Fetch standard has
 * `*` for that: it needs no echo of what the client asked for, but it does not cover `Authorization`, and old browsers
 * take it for a name. So the names of the list stand before it.
 */
export function allowedHeadersValue(origins: AllowedOrigins, names: readonly string[]): string {
  const any = origins === undefined || names.includes('*')
  return (any ? [...new Set(['Authorization', ...names, '*'])] : names).join(', ')
}
