// Several requests in one go: RFC 9112, section 9.3.2. Where the service cannot take a second one, it must end the connection.
import { type Case, own, plain, send, TASK, TASKS } from '../case.ts'

const health = plain('GET', '/health')
const read = own('GET', TASK)
const create = (title: string) => send('POST', TASKS, `{"title":"${title}"}`)
const SECOND_MAY_GO = { following: [{ method: 'GET', expect: [200, 'none'] }] } as const

export const sequences: readonly Case[] = [
  {
    name: 'two requests that wait for nothing',
    why: 'RFC 9112, 9.3.2',
    bytes: health + health,
    expect: 200,
    following: [{ method: 'GET', expect: 200 }],
  },
  {
    name: 'ten requests that wait for nothing',
    why: 'RFC 9112, 9.3.2',
    bytes: health.repeat(10),
    expect: 200,
    following: Array.from({ length: 9 }, () => ({ method: 'GET', expect: 200 })),
  },
  {
    name: 'HEAD, then GET',
    why: 'RFC 9112, 6.3',
    bytes: plain('HEAD', '/health') + health,
    expect: [200, 'none'],
    ...SECOND_MAY_GO,
  },
  {
    name: 'HEAD of nothing, then GET',
    why: 'RFC 9112, 6.3',
    bytes: plain('HEAD', '/nope') + health,
    expect: [404, 'none'],
    ...SECOND_MAY_GO,
  },
  {
    name: 'OPTIONS, then GET',
    why: 'RFC 9110, 15.3.5',
    bytes: plain('OPTIONS', '/health') + health,
    expect: [204, 'none'],
    ...SECOND_MAY_GO,
  },
  {
    name: 'a read, then another',
    why: 'docs/limits.md',
    bytes: read + read,
    expect: [200, 'none'],
    ...SECOND_MAY_GO,
  },
  {
    name: 'a refusal, then a read',
    why: 'RFC 9112, 9.3.2',
    bytes: plain('GET', TASKS) + health,
    expect: 401,
    following: [{ method: 'GET', expect: 200 }],
  },
  {
    name: 'an unread body, then a read',
    why: 'RFC 9112, 6',
    bytes: `${plain('POST', '/nope', 'Content-Length: 5')}hello${health}`,
    expect: 404,
    following: [{ method: 'GET', expect: 200 }],
  },
  {
    name: 'a write, then a read',
    why: 'docs/limits.md',
    bytes: create('piped') + health,
    expect: [201, 'none'],
    ...SECOND_MAY_GO,
    writesMax: 1,
  },
  {
    name: 'a request, then garbage',
    why: 'RFC 9112, 2.2: refused, and so may be the whole',
    bytes: `${health}\x01\x02 \x03\r\n\r\n`,
    expect: [200, 400, 505],
    unfinished: true,
  },
  {
    name: 'a request, then half of another',
    why: 'RFC 9112, 9.3.2',
    bytes: `${health}GET /hea`,
    expect: 200,
    unfinished: true,
  },
  {
    name: 'a closing read, then a write',
    why: 'RFC 9112, 9.6',
    bytes: own('GET', TASK, 'Connection: close') + create('smuggled'),
    expect: [200, 'none'],
    closes: true,
  },
  {
    name: 'a closing refusal, then a write',
    why: 'RFC 9112, 9.6; uWebSockets.js closes when it reads more, with or without the answer',
    bytes: plain('GET', TASKS, 'Connection: close') + create('smuggled'),
    expect: [401, 'none'],
    closes: true,
  },
  {
    name: 'a closing unknown path, then a write',
    why: 'RFC 9112, 9.6; uWebSockets.js closes when it reads more, with or without the answer',
    bytes: plain('GET', '/nope', 'Connection: close') + create('smuggled'),
    expect: [404, 'none'],
    closes: true,
  },
]
