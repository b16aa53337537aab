// Content-Length: RFC 9110, section 8.6, and RFC 9112, section 6.3.
import { type Case, createWith, plain, send } from '../case.ts'

const TASK = '{"title":"framed"}'
const LENGTH = `Content-Length: ${TASK.length}`
/** A write that must never happen: whoever sends it has no request to send. */
const SMUGGLED = send('POST', '/api/v1/tasks', '{"title":"smuggled"}')
const length = (value: string) => createWith([`Content-Length: ${value}`], TASK)
const REFUSED = { expect: [400, 'none'], closes: true } as const

export const lengths: readonly Case[] = [
  { name: 'a length', why: 'RFC 9112, 6.2', bytes: length('18'), expect: 201 },
  { name: 'a length with zeros', why: 'RFC 9110, 8.6', bytes: length('0018'), expect: [201, 400] },
  { name: 'a length with a space behind', why: 'RFC 9112, 5', bytes: length('18 '), expect: 201 },
  { name: 'no length', why: 'RFC 9112, 6.3', bytes: createWith([], ''), expect: [400, 411] },
  {
    name: 'a length of 0',
    why: 'RFC 8259, 2: nothing is not JSON',
    bytes: createWith(['Content-Length: 0'], ''),
    expect: 400,
  },
  {
    name: 'an empty length',
    why: 'RFC 9110, 8.6',
    bytes: createWith(['Content-Length:'], ''),
    ...REFUSED,
    expect: 400,
  },
  {
    name: 'an empty length before a request',
    why: 'RFC 9110, 8.6',
    bytes: createWith(['Content-Length:'], SMUGGLED),
    ...REFUSED,
  },
  {
    name: 'an empty length on a GET',
    why: 'RFC 9110, 8.6',
    bytes: plain('GET', '/health', 'Content-Length:') + SMUGGLED,
    ...REFUSED,
  },
  { name: 'a signed length', why: 'RFC 9110, 8.6', bytes: length('+18'), ...REFUSED },
  { name: 'a negative length', why: 'RFC 9110, 8.6', bytes: length('-18'), ...REFUSED },
  { name: 'a hexadecimal length', why: 'RFC 9110, 8.6', bytes: length('0x12'), ...REFUSED },
  { name: 'an exponent', why: 'RFC 9110, 8.6', bytes: length('18e0'), ...REFUSED },
  { name: 'a decimal point', why: 'RFC 9110, 8.6', bytes: length('18.0'), ...REFUSED },
  { name: 'a length in words', why: 'RFC 9110, 8.6', bytes: length('eighteen'), ...REFUSED },
  { name: 'a space in a length', why: 'RFC 9110, 8.6', bytes: length('1 8'), ...REFUSED },
  {
    name: 'a list of equal lengths',
    why: 'RFC 9110, 8.6: may be refused',
    bytes: length('18, 18'),
    ...REFUSED,
  },
  { name: 'a list of lengths', why: 'RFC 9112, 6.3', bytes: length('18, 0'), ...REFUSED },
  {
    name: 'digits of another script',
    why: 'RFC 9110, 8.6',
    bytes: length('\xd9\xa1\xd9\xa8'),
    ...REFUSED,
  },
  {
    name: 'a length over 64 bits',
    why: 'RFC 9110, 8.6',
    bytes: length('18446744073709551634'),
    expect: [400, 413, 'none'],
    closes: true,
  },
  {
    name: 'a length over 53 bits',
    why: 'RFC 9110, 8.6',
    bytes: length('9007199254740993'),
    expect: [400, 413],
    closes: true,
  },
  {
    name: 'two equal lengths',
    why: 'RFC 9112, 6.3',
    bytes: createWith([LENGTH, LENGTH], TASK),
    ...REFUSED,
    expect: 400,
  },
  {
    name: 'two lengths',
    why: 'RFC 9112, 6.3',
    bytes: createWith(['Content-Length: 0', LENGTH], TASK),
    ...REFUSED,
    expect: 400,
  },
  {
    name: 'two lengths around a request',
    why: 'RFC 9112, 6.3',
    bytes: createWith([LENGTH, 'Content-Length: {rest}'], TASK + SMUGGLED),
    ...REFUSED,
  },
  {
    name: 'two lengths of a GET',
    why: 'RFC 9112, 6.3',
    bytes: plain('GET', '/health', 'Content-Length: 0', 'Content-Length: {rest}') + SMUGGLED,
    ...REFUSED,
  },
  {
    name: 'an empty length, then another',
    why: 'RFC 9112, 6.3',
    bytes: createWith(['Content-Length:', LENGTH], TASK),
    ...REFUSED,
  },
  {
    name: 'a body of a GET',
    why: 'RFC 9110, 9.3.1',
    bytes: `${plain('GET', '/health', 'Content-Length: {rest}')}${SMUGGLED}`,
    expect: 200,
  },
  {
    name: 'a body of a HEAD',
    why: 'RFC 9110, 9.3.2',
    bytes: `${plain('HEAD', '/health', 'Content-Length: {rest}')}${SMUGGLED}`,
    expect: 200,
  },
  {
    name: 'a body of an unknown path',
    why: 'RFC 9112, 6',
    bytes: `${plain('POST', '/nope', 'Content-Length: {rest}')}${SMUGGLED}`,
    expect: 404,
  },
  {
    name: 'a body of a refused method',
    why: 'RFC 9112, 6',
    bytes: `${plain('PUT', '/health', 'Content-Length: {rest}')}${SMUGGLED}`,
    expect: 405,
  },
  {
    name: 'a body of a client without a token',
    why: 'RFC 9112, 6',
    bytes: `${plain('POST', '/api/v1/tasks', 'Content-Length: {rest}')}${SMUGGLED}`,
    expect: 401,
  },
  {
    name: 'a body that stops half-way',
    why: 'RFC 9110, 15.5.9',
    bytes: length('50'),
    expect: 408,
    closes: true,
  },
  {
    name: 'a body longer than its length',
    why: 'RFC 9112, 6.3: the rest is another request',
    bytes: `${createWith([LENGTH], TASK)}xx`,
    expect: [201, 'none'],
    unfinished: true,
    writesMax: 1,
  },
]
