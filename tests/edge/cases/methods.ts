// Methods: RFC 9110, section 9.
import { type Case, LOGIN, own, plain, TASK, TASKS } from '../case.ts'

const refused = (allow: string) =>
  ({
    expect: 405,
    headers: { allow: new RegExp(`^${allow}$`) },
    body: { code: 'method_not_allowed' },
  }) as const
const LIST = 'GET, HEAD, POST, OPTIONS'
const ONE = 'GET, HEAD, PATCH, DELETE, OPTIONS'
const READ = 'GET, HEAD, OPTIONS'

export const methods: readonly Case[] = [
  {
    name: 'HEAD of a GET route',
    why: 'RFC 9110, 9.3.2',
    bytes: plain('HEAD', '/health'),
    expect: 200,
    headers: { 'content-length': /^15$/ },
  },
  {
    name: 'HEAD of readiness',
    why: 'RFC 9110, 9.3.2',
    bytes: plain('HEAD', '/ready'),
    expect: 200,
  },
  {
    name: 'HEAD of the document',
    why: 'RFC 9110, 9.3.2',
    bytes: plain('HEAD', '/openapi.json'),
    expect: 200,
  },
  { name: 'HEAD of a list', why: 'RFC 9110, 9.3.2', bytes: own('HEAD', TASKS), expect: 200 },
  { name: 'HEAD of a task', why: 'RFC 9110, 9.3.2', bytes: own('HEAD', TASK), expect: 200 },
  {
    name: 'HEAD without a token',
    why: 'RFC 9110, 9.3.2',
    bytes: plain('HEAD', TASKS),
    expect: 401,
    headers: { 'www-authenticate': /^Bearer$/ },
  },
  {
    name: 'HEAD of an unknown path',
    why: 'RFC 9110, 9.3.2',
    bytes: plain('HEAD', '/nope'),
    expect: 404,
  },
  {
    name: 'HEAD of a path that only posts',
    why: 'RFC 9110, 9.3.2',
    bytes: plain('HEAD', LOGIN),
    expect: 405,
  },
  {
    name: 'HEAD with a bad query',
    why: 'RFC 9110, 9.3.2',
    bytes: own('HEAD', `${TASKS}?limit=0`),
    expect: 400,
  },
  {
    name: 'HEAD of a path with a slash',
    why: 'RFC 9110, 15.4.9',
    bytes: plain('HEAD', '/health/'),
    expect: 308,
  },
  {
    name: 'HEAD compressed',
    why: 'RFC 9110, 9.3.2',
    bytes: plain('HEAD', '/openapi.json', 'Accept-Encoding: gzip'),
    expect: 200,
  },
  { name: 'PUT', why: 'RFC 9110, 15.5.6', bytes: own('PUT', TASK), ...refused(ONE) },
  { name: 'POST to a task', why: 'RFC 9110, 15.5.6', bytes: own('POST', TASK), ...refused(ONE) },
  {
    name: 'DELETE of a list',
    why: 'RFC 9110, 15.5.6',
    bytes: own('DELETE', TASKS),
    ...refused(LIST),
  },
  {
    name: 'GET of login',
    why: 'RFC 9110, 15.5.6',
    bytes: plain('GET', LOGIN),
    ...refused('POST, OPTIONS'),
  },
  {
    name: 'POST to health',
    why: 'RFC 9110, 15.5.6',
    bytes: plain('POST', '/health', 'Content-Length: 0'),
    ...refused(READ),
  },
  {
    name: 'TRACE',
    why: 'RFC 9110, 9.3.8: nothing is sent back',
    bytes: plain('TRACE', '/health'),
    ...refused(READ),
  },
  {
    name: 'an unknown method',
    why: 'RFC 9110, 9.1',
    bytes: plain('BREW', '/health'),
    expect: [405, 501],
  },
  {
    name: 'a small method',
    why: 'RFC 9110, 9.1: methods have case',
    bytes: plain('get', '/health'),
    expect: [400, 405, 501],
  },
  {
    name: 'a mixed method',
    why: 'RFC 9110, 9.1',
    bytes: own('Delete', TASK),
    expect: [400, 405, 501],
  },
  {
    name: 'a method of a hundred letters',
    why: 'RFC 9112, 3',
    bytes: plain('A'.repeat(100), '/health'),
    expect: [400, 405, 501],
  },
  {
    name: 'PROPFIND',
    why: 'RFC 9110, 9.1',
    bytes: plain('PROPFIND', '/'),
    expect: [404, 405, 501],
  },
  {
    name: 'GET with a token that nobody asked for',
    why: 'RFC 9110, 11.6.2',
    bytes: plain('GET', '/health', 'Authorization: Bearer x'),
    expect: 200,
  },
  {
    name: 'DELETE with a body',
    why: 'RFC 9110, 9.3.5',
    bytes: own('DELETE', `${TASKS}/{absent}`, 'Content-Length: 2') + '{}',
    expect: 404,
  },
]
