// OPTIONS (RFC 9110, section 9.3.7) and CORS (WHATWG Fetch, 3.2).
import { type Case, plain, REGISTER, TASK, TASKS } from '../case.ts'

const ORIGIN = 'Origin: https://app.example.com'
const preflight = (method: string, ...lines: string[]) =>
  plain('OPTIONS', TASKS, ORIGIN, `Access-Control-Request-Method: ${method}`, ...lines)
const asking = (names: string) => preflight('POST', `Access-Control-Request-Headers: ${names}`)
const lists = (name: string) =>
  ({
    expect: 204,
    headers: { 'access-control-allow-headers': new RegExp(`(^|[,\\s])(${name}|\\*)`, 'i') },
  }) as const
const allowed = (allow: string) =>
  ({
    expect: 204,
    headers: { allow: new RegExp(`^${allow}$`), 'content-length': null, 'content-type': null },
  }) as const
const LIST = 'GET, HEAD, POST, OPTIONS'
const ONE = 'GET, HEAD, PATCH, DELETE, OPTIONS'
const READ = 'GET, HEAD, OPTIONS'

export const options: readonly Case[] = [
  {
    name: 'OPTIONS of a list',
    why: 'RFC 9110, 9.3.7',
    bytes: plain('OPTIONS', TASKS),
    ...allowed(LIST),
  },
  {
    name: 'OPTIONS of a task',
    why: 'RFC 9110, 9.3.7',
    bytes: plain('OPTIONS', TASK),
    ...allowed(ONE),
  },
  {
    name: 'OPTIONS of registration',
    why: 'RFC 9110, 9.3.7',
    bytes: plain('OPTIONS', REGISTER),
    ...allowed('POST, OPTIONS'),
  },
  {
    name: 'OPTIONS of health',
    why: 'RFC 9110, 9.3.7',
    bytes: plain('OPTIONS', '/health'),
    ...allowed(READ),
  },
  {
    name: 'OPTIONS of an unknown path',
    why: 'RFC 9110, 15.5.5',
    bytes: plain('OPTIONS', '/nope'),
    expect: 404,
  },
  {
    name: 'OPTIONS with a body',
    why: 'RFC 9110, 9.3.7',
    bytes: `${plain('OPTIONS', '/health', 'Content-Length: 2')}{}`,
    expect: 204,
  },
  {
    name: 'a preflight',
    why: 'Fetch, 3.2.2',
    bytes: preflight('PATCH'),
    expect: 204,
    headers: { 'access-control-allow-origin': /^\*$/, 'access-control-allow-methods': /POST/ },
  },
  {
    name: 'a preflight for a trace',
    why: 'Fetch, 3.2.3',
    bytes: asking('traceparent, baggage, sentry-trace'),
    ...lists('traceparent'),
  },
  {
    name: 'a preflight for idempotency',
    why: 'Fetch, 3.2.3',
    bytes: asking('authorization,content-type,idempotency-key,if-match'),
    ...lists('idempotency-key'),
  },
  {
    name: 'a preflight for Authorization',
    why: 'Fetch, 3.2.3: * does not cover it',
    bytes: asking('authorization'),
    expect: 204,
    headers: { 'access-control-allow-headers': /authorization/i },
  },
  {
    name: 'a preflight for what would split a header',
    why: 'RFC 9110, 5.5',
    bytes: asking('x-a, <script>, x:y'),
    expect: 204,
    headers: { 'access-control-allow-headers': /^[^<>:]*$/ },
  },
  {
    name: 'a preflight for 8 KiB of names',
    why: 'RFC 9110, 5.4: bounded',
    bytes: asking('x-abcdefg,'.repeat(800)),
    expect: [204, 400],
  },
  {
    name: 'a call from another site',
    why: 'Fetch, 3.2.1',
    bytes: plain('GET', '/health', ORIGIN),
    expect: 200,
    headers: {
      'access-control-allow-origin': /^\*$/,
      'access-control-expose-headers': /x-request-id/i,
      'access-control-allow-credentials': null,
    },
  },
  {
    name: 'a failure for another site',
    why: 'Fetch, 3.2.1',
    bytes: plain('GET', TASKS, ORIGIN),
    expect: 401,
    headers: { 'access-control-allow-origin': /^\*$/ },
  },
  {
    name: 'a null origin',
    why: 'Fetch, 3.2',
    bytes: plain('GET', '/health', 'Origin: null'),
    expect: 200,
    headers: { 'access-control-allow-origin': /^\*$/ },
  },
]
