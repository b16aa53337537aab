// Chunks: RFC 9112, section 7.1.
import { type Case, chunk, createWith, send } from '../case.ts'

const TASK = '{"title":"framed"}'
/** A write that must never happen: whoever sends it has no request to send. */
const SMUGGLED = send('POST', '/api/v1/tasks', '{"title":"smuggled"}')
const chunked = (body: string) => createWith(['Transfer-Encoding: chunked'], body)
const REFUSED = { expect: [400, 'none'], closes: true } as const

export const chunks: readonly Case[] = [
  {
    name: 'several chunks',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`${chunk('{"title":')}${chunk('"two"}')}0\r\n\r\n`),
    expect: 201,
    closes: true,
  },
  {
    name: 'a chunk for each byte',
    why: 'RFC 9112, 7.1',
    bytes: chunked(
      `${TASK.split('')
        .map((byte) => chunk(byte))
        .join('')}0\r\n\r\n`,
    ),
    expect: 201,
    closes: true,
  },
  {
    name: 'a size in small and large letters',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`${chunk(TASK)}a\r\n${' '.repeat(10)}\r\nA\r\n${' '.repeat(10)}\r\n0\r\n\r\n`),
    expect: 201,
    closes: true,
  },
  {
    name: 'a size with zeros',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`0012\r\n${TASK}\r\n000\r\n\r\n`),
    expect: [201, 400],
    closes: true,
  },
  {
    name: 'no chunk but the last',
    why: 'RFC 8259, 2',
    bytes: chunked('0\r\n\r\n'),
    expect: 400,
    closes: true,
  },
  {
    name: 'an extension',
    why: 'RFC 9112, 7.1.1; uWebSockets.js may take it for the size',
    bytes: chunked(`${chunk(TASK, ';a=b')}0\r\n\r\n`),
    expect: [201, 400, 408],
    closes: true,
  },
  {
    name: 'a quoted extension',
    why: 'RFC 9112, 7.1.1',
    bytes: chunked(`${chunk(TASK, ';a="b;c"')}0;d\r\n\r\n`),
    expect: [201, 400],
    closes: true,
  },
  {
    name: 'an extension with a line feed',
    why: 'RFC 9112, 7.1.1',
    bytes: chunked(`${chunk(TASK, ';a\nb')}0\r\n\r\n`),
    ...REFUSED,
  },
  {
    name: 'an extension of 20 KiB',
    why: 'RFC 9112, 7.1.1: bounded',
    bytes: chunked(`${chunk(TASK, `;${'a'.repeat(20_000)}`)}0\r\n\r\n`),
    expect: [201, 400, 413, 431, 'none'],
    closes: true,
  },
  {
    name: 'a trailer',
    why: 'RFC 9112, 7.1.2; uWebSockets.js takes it for a request',
    bytes: chunked(`${chunk(TASK)}0\r\nX-Other: a\r\n\r\n`),
    expect: [201, 400, 505],
    closes: true,
    writesMax: 1,
  },
  {
    name: 'a trailer that would be a length',
    why: 'RFC 9110, 6.5.1; uWebSockets.js takes it for a request',
    bytes: chunked(`${chunk(TASK)}0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`),
    expect: [201, 400, 505],
    closes: true,
    writesMax: 1,
  },
  {
    name: 'a size with 0x',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`0x12\r\n${TASK}\r\n0\r\n\r\n`),
    ...REFUSED,
  },
  {
    name: 'a signed size',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`+12\r\n${TASK}\r\n0\r\n\r\n`),
    ...REFUSED,
  },
  {
    name: 'a negative size',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`-12\r\n${TASK}\r\n0\r\n\r\n`),
    ...REFUSED,
  },
  {
    name: 'a size behind a space',
    // uWebSockets.js drops the space when nothing has come behind it yet.
    why: 'RFC 9112, 7.1; the parser takes it where a packet ends behind the space',
    bytes: chunked(` 12\r\n${TASK}\r\n0\r\n\r\n`),
    expect: [201, 400, 'none'],
    closes: true,
  },
  {
    name: 'a size before a space',
    why: 'RFC 9112, 7.1.1: whitespace is bad',
    bytes: chunked(`12 \r\n${TASK}\r\n0\r\n\r\n`),
    expect: [201, 400, 'none'],
    closes: true,
  },
  {
    name: 'a size that is a letter',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`z\r\n${TASK}\r\n0\r\n\r\n`),
    ...REFUSED,
  },
  { name: 'no size', why: 'RFC 9112, 7.1', bytes: chunked(`\r\n${TASK}\r\n0\r\n\r\n`), ...REFUSED },
  {
    name: 'a size that is too small',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`11\r\n${TASK}\r\n0\r\n\r\n`),
    ...REFUSED,
  },
  {
    name: 'a size that is too large',
    why: 'RFC 9112, 7.1; uWebSockets.js is lax, so the connection closes',
    bytes: chunked(`13\r\n${TASK}\r\n0\r\n\r\n`),
    expect: [201, 400, 408, 'none'],
    closes: true,
  },
  {
    name: 'a size over 64 bits',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`10000000000000012\r\n${TASK}\r\n0\r\n\r\n`),
    expect: [400, 413, 'none'],
    closes: true,
  },
  {
    name: 'a size of 2 GiB',
    why: 'RFC 9112, 7.1',
    bytes: chunked(`7fffffff\r\n${TASK}`),
    expect: [400, 408, 413, 'none'],
    closes: true,
  },
  {
    name: 'no line end behind a chunk',
    why: 'RFC 9112, 7.1; uWebSockets.js is lax, so the connection closes',
    bytes: chunked(`12\r\n${TASK}0\r\n\r\n`),
    expect: [201, 400, 408, 'none'],
    closes: true,
  },
  {
    name: 'other bytes than a line end behind a chunk',
    why: 'RFC 9112, 7.1; uWebSockets.js is lax, so the connection closes',
    bytes: chunked(`12\r\n${TASK}xx0\r\n\r\n`),
    expect: [201, 400, 408, 'none'],
    closes: true,
  },
  {
    name: 'chunks with line feeds alone',
    why: 'RFC 9112, 7.1; uWebSockets.js is lax, so the connection closes',
    bytes: chunked(`12\n${TASK}\n0\n\n`),
    expect: [201, 400, 408, 'none'],
    closes: true,
  },
  {
    name: 'a NUL in a size',
    why: 'RFC 9112, 7.1; uWebSockets.js is lax, so the connection closes',
    bytes: chunked(`12\0\r\n${TASK}\r\n0\r\n\r\n`),
    expect: [201, 400, 408, 'none'],
    closes: true,
  },
  {
    name: 'chunks that never end',
    why: 'RFC 9110, 15.5.9',
    bytes: chunked(chunk(TASK)),
    expect: 408,
    closes: true,
  },
  {
    name: 'chunks over the limit of a body',
    why: 'RFC 9110, 15.5.14',
    bytes: chunked(`${chunk(`${TASK}${' '.repeat(70_000)}`)}0\r\n\r\n`),
    expect: 413,
    closes: true,
  },
]
