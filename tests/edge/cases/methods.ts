// Methods, OPTIONS, CORS (WHATWG Fetch, 3.2), and the headers of answers.
import { type Case, LOGIN, own, plain, REGISTER, send, TASK, TASKS } from '../case.ts'

const ORIGIN = 'Origin: https://app.example.com'
const preflight = (method: string, ...lines: string[]) =>
  plain('OPTIONS', TASKS, ORIGIN, `Access-Control-Request-Method: ${method}`, ...lines)
const asking = (names: string) => preflight('POST', `Access-Control-Request-Headers: ${names}`)
const lists = (name: string) => ({ expect: 204, headers: { 'access-control-allow-headers': new RegExp(`(^|[,\\s])(${name}|\\*)`, 'i') } }) as const
const refused = (allow: string) => ({ expect: 405, headers: { allow: new RegExp(`^${allow}$`) }, body: { code: 'method_not_allowed' } }) as const
const allowed = (allow: string) => ({ expect: 204, headers: { allow: new RegExp(`^${allow}$`), 'content-length': null, 'content-type': null } }) as const
const LIST = 'GET, HEAD, POST, OPTIONS'
const ONE = 'GET, HEAD, PATCH, DELETE, OPTIONS'
const READ = 'GET, HEAD, OPTIONS'
const gzip = (value: string) => own('GET', '/openapi.json', `Accept-Encoding: ${value}`)
const COMPRESSED = { expect: 200, headers: { 'content-encoding': /^gzip$/, vary: /accept-encoding/i } } as const
const PLAIN = { expect: 200, headers: { 'content-encoding': null, vary: /accept-encoding/i } } as const

const METHODS: readonly Case[] = [
  { name: 'HEAD of a GET route', why: 'RFC 9110, 9.3.2', bytes: plain('HEAD', '/health'), expect: 200, headers: { 'content-length': /^15$/ } },
  { name: 'HEAD of readiness', why: 'RFC 9110, 9.3.2', bytes: plain('HEAD', '/ready'), expect: 200 },
  { name: 'HEAD of the document', why: 'RFC 9110, 9.3.2', bytes: plain('HEAD', '/openapi.json'), expect: 200 },
  { name: 'HEAD of a list', why: 'RFC 9110, 9.3.2', bytes: own('HEAD', TASKS), expect: 200 },
  { name: 'HEAD of a task', why: 'RFC 9110, 9.3.2', bytes: own('HEAD', TASK), expect: 200 },
  { name: 'HEAD without a token', why: 'RFC 9110, 9.3.2', bytes: plain('HEAD', TASKS), expect: 401, headers: { 'www-authenticate': /^Bearer$/ } },
  { name: 'HEAD of an unknown path', why: 'RFC 9110, 9.3.2', bytes: plain('HEAD', '/nope'), expect: 404 },
  { name: 'HEAD of a path that only posts', why: 'RFC 9110, 9.3.2', bytes: plain('HEAD', LOGIN), expect: 405 },
  { name: 'HEAD with a bad query', why: 'RFC 9110, 9.3.2', bytes: own('HEAD', `${TASKS}?limit=0`), expect: 400 },
  { name: 'HEAD of a path with a slash', why: 'RFC 9110, 15.4.9', bytes: plain('HEAD', '/health/'), expect: 308 },
  { name: 'HEAD compressed', why: 'RFC 9110, 9.3.2', bytes: plain('HEAD', '/openapi.json', 'Accept-Encoding: gzip'), expect: 200 },
  { name: 'PUT', why: 'RFC 9110, 15.5.6', bytes: own('PUT', TASK), ...refused(ONE) },
  { name: 'POST to a task', why: 'RFC 9110, 15.5.6', bytes: own('POST', TASK), ...refused(ONE) },
  { name: 'DELETE of a list', why: 'RFC 9110, 15.5.6', bytes: own('DELETE', TASKS), ...refused(LIST) },
  { name: 'GET of login', why: 'RFC 9110, 15.5.6', bytes: plain('GET', LOGIN), ...refused('POST, OPTIONS') },
  { name: 'POST to health', why: 'RFC 9110, 15.5.6', bytes: plain('POST', '/health', 'Content-Length: 0'), ...refused(READ) },
  { name: 'TRACE', why: 'RFC 9110, 9.3.8: nothing is sent back', bytes: plain('TRACE', '/health'), ...refused(READ) },
  { name: 'an unknown method', why: 'RFC 9110, 9.1', bytes: plain('BREW', '/health'), expect: [405, 501] },
  { name: 'a small method', why: 'RFC 9110, 9.1: methods have case', bytes: plain('get', '/health'), expect: [400, 405, 501] },
  { name: 'a mixed method', why: 'RFC 9110, 9.1', bytes: own('Delete', TASK), expect: [400, 405, 501] },
  { name: 'a method of a hundred letters', why: 'RFC 9112, 3', bytes: plain('A'.repeat(100), '/health'), expect: [400, 405, 501] },
  { name: 'PROPFIND', why: 'RFC 9110, 9.1', bytes: plain('PROPFIND', '/'), expect: [404, 405, 501] },
  { name: 'GET with a token that nobody asked for', why: 'RFC 9110, 11.6.2', bytes: plain('GET', '/health', 'Authorization: Bearer x'), expect: 200 },
  { name: 'DELETE with a body', why: 'RFC 9110, 9.3.5', bytes: own('DELETE', `${TASKS}/{absent}`, 'Content-Length: 2') + '{}', expect: 404 },
]

const OPTIONS: readonly Case[] = [
  { name: 'OPTIONS of a list', why: 'RFC 9110, 9.3.7', bytes: plain('OPTIONS', TASKS), ...allowed(LIST) },
  { name: 'OPTIONS of a task', why: 'RFC 9110, 9.3.7', bytes: plain('OPTIONS', TASK), ...allowed(ONE) },
  { name: 'OPTIONS of registration', why: 'RFC 9110, 9.3.7', bytes: plain('OPTIONS', REGISTER), ...allowed('POST, OPTIONS') },
  { name: 'OPTIONS of health', why: 'RFC 9110, 9.3.7', bytes: plain('OPTIONS', '/health'), ...allowed(READ) },
  { name: 'OPTIONS of an unknown path', why: 'RFC 9110, 15.5.5', bytes: plain('OPTIONS', '/nope'), expect: 404 },
  { name: 'OPTIONS with a body', why: 'RFC 9110, 9.3.7', bytes: `${plain('OPTIONS', '/health', 'Content-Length: 2')}{}`, expect: 204 },
  { name: 'a preflight', why: 'Fetch, 3.2.2', bytes: preflight('PATCH'), expect: 204, headers: { 'access-control-allow-origin': /^\*$/, 'access-control-allow-methods': /POST/ } },
  { name: 'a preflight for a trace', why: 'Fetch, 3.2.3', bytes: asking('traceparent, baggage, sentry-trace'), ...lists('traceparent') },
  { name: 'a preflight for idempotency', why: 'Fetch, 3.2.3', bytes: asking('authorization,content-type,idempotency-key,if-match'), ...lists('idempotency-key') },
  { name: 'a preflight for Authorization', why: 'Fetch, 3.2.3: * does not cover it', bytes: asking('authorization'), expect: 204, headers: { 'access-control-allow-headers': /authorization/i } },
  { name: 'a preflight for what would split a header', why: 'RFC 9110, 5.5', bytes: asking('x-a, <script>, x:y'), expect: 204, headers: { 'access-control-allow-headers': /^[^<>:]*$/ } },
  { name: 'a preflight for 8 KiB of names', why: 'RFC 9110, 5.4: bounded', bytes: asking('x-abcdefg,'.repeat(800)), expect: [204, 400] },
  { name: 'a call from another site', why: 'Fetch, 3.2.1', bytes: plain('GET', '/health', ORIGIN), expect: 200, headers: { 'access-control-allow-origin': /^\*$/, 'access-control-expose-headers': /x-request-id/i, 'access-control-allow-credentials': null } },
  { name: 'a failure for another site', why: 'Fetch, 3.2.1', bytes: plain('GET', TASKS, ORIGIN), expect: 401, headers: { 'access-control-allow-origin': /^\*$/ } },
  { name: 'a null origin', why: 'Fetch, 3.2', bytes: plain('GET', '/health', 'Origin: null'), expect: 200, headers: { 'access-control-allow-origin': /^\*$/ } },
]

const HEADERS: readonly Case[] = [
  { name: 'nosniff', why: 'Fetch, 3.6', bytes: plain('GET', '/health'), expect: 200, headers: { 'x-content-type-options': /^nosniff$/ } },
  { name: 'nosniff on a failure', why: 'Fetch, 3.6', bytes: plain('GET', '/nope'), expect: 404, headers: { 'x-content-type-options': /^nosniff$/ } },
  { name: 'a list is not stored', why: 'RFC 9111, 5.2.2.5', bytes: own('GET', TASKS), expect: 200, headers: { 'cache-control': /no-store/ } },
  { name: 'a task is not stored', why: 'RFC 9111, 5.2.2.5', bytes: own('GET', TASK), expect: 200, headers: { 'cache-control': /no-store/ } },
  { name: 'a new task is not stored', why: 'RFC 9111, 5.2.2.5', bytes: send('POST', TASKS, '{"title":"x"}'), expect: 201, headers: { 'cache-control': /no-store/ } },
  { name: 'the Location of a new task', why: 'RFC 9110, 10.2.2', bytes: send('POST', TASKS, '{"title":"x"}'), expect: 201, headers: { location: /[0-9a-f-]{36}$/ } },
  { name: 'the type of an answer', why: 'RFC 8259, 11: no charset', bytes: plain('GET', '/health'), expect: 200, headers: { 'content-type': /^application\/json$/, date: /GMT$/ } },
  { name: 'no word about the software', why: 'RFC 9110, 10.2.4', bytes: plain('GET', '/health'), expect: 200, headers: { server: null, uwebsockets: null, 'x-powered-by': null } },
  { name: 'gzip', why: 'RFC 9110, 12.5.3', bytes: gzip('gzip'), ...COMPRESSED },
  { name: 'gzip in capitals', why: 'RFC 9110, 8.4.1', bytes: gzip('GZIP'), ...COMPRESSED },
  { name: 'gzip among others', why: 'RFC 9110, 12.5.3', bytes: gzip('deflate, gzip;q=0.5, br'), ...COMPRESSED },
  { name: 'gzip refused', why: 'RFC 9110, 12.4.2', bytes: gzip('gzip;q=0'), ...PLAIN },
  { name: 'gzip refused with digits', why: 'RFC 9110, 12.4.2', bytes: gzip('gzip; q=0.000'), ...PLAIN },
  { name: 'xgzip', why: 'RFC 9110, 12.5.3', bytes: gzip('xgzip'), ...PLAIN },
  { name: 'br alone', why: 'RFC 9110, 12.5.3', bytes: gzip('br'), ...PLAIN },
  { name: 'identity', why: 'RFC 9110, 12.5.3', bytes: gzip('identity'), ...PLAIN },
  { name: 'an empty Accept-Encoding', why: 'RFC 9110, 12.5.3', bytes: gzip(''), ...PLAIN },
  { name: 'eight thousand encodings', why: 'time is bounded', bytes: gzip('a,'.repeat(4000)), ...PLAIN },
  { name: 'spaces to trip a pattern', why: 'time is bounded', bytes: gzip(`gzip${' '.repeat(8000)};`), expect: 200 },
]

export const methods: readonly Case[] = [...METHODS, ...OPTIONS, ...HEADERS]
