// Media types, encodings of a body, expectations and sizes: RFC 9110, sections 8 and 10.
import { type Case, JSON_TYPE, LOGIN, own, plain, send, sendOpen, TASK, TASKS } from '../case.ts'

const BODY = '{"title":"typed"}'
const CHANGE = '{"title":"changed"}'
const typed = (...lines: string[]) => send('POST', TASKS, BODY, ...lines)
const sized = (bytes: number) => send('POST', TASKS, BODY.padEnd(bytes))
const expecting = (value: string) => send('POST', TASKS, BODY, JSON_TYPE, `Expect: ${value}`)
const UNSUPPORTED = { expect: 415, body: { code: 'unsupported_media_type' } } as const

export const bodies: readonly Case[] = [
  { name: 'application/json', why: 'RFC 8259, 11', bytes: typed(JSON_TYPE), expect: 201 },
  {
    name: 'a type in capitals',
    why: 'RFC 9110, 8.3.1',
    bytes: typed('Content-Type: APPLICATION/JSON'),
    expect: 201,
  },
  {
    name: 'charset=utf-8',
    why: 'RFC 9110, 8.3.2',
    bytes: typed('Content-Type: application/json; charset=utf-8'),
    expect: 201,
  },
  {
    name: 'charset="UTF-8"',
    why: 'RFC 9110, 8.3.1',
    bytes: typed('Content-Type: application/json;charset="UTF-8"'),
    expect: 201,
  },
  {
    name: 'another parameter',
    why: 'RFC 9110, 8.3.1',
    bytes: typed('Content-Type: application/json; charset=utf-8; x=y'),
    expect: 201,
  },
  {
    name: 'a quoted parameter',
    why: 'RFC 9110, 5.6.6',
    bytes: typed('Content-Type: application/json; x="a;b"'),
    expect: 201,
  },
  {
    name: 'a parameter with an escape',
    why: 'RFC 9110, 5.6.4',
    bytes: typed('Content-Type: application/json; x="\\""'),
    expect: [201, 415],
  },
  {
    name: 'a semicolon and nothing',
    why: 'RFC 9110, 5.6.6',
    bytes: typed('Content-Type: application/json;'),
    expect: [201, 415],
  },
  {
    name: 'charset=latin1',
    why: 'RFC 8259, 8.1',
    bytes: typed('Content-Type: application/json; charset=iso-8859-1'),
    ...UNSUPPORTED,
  },
  {
    name: 'charset=utf-16',
    why: 'RFC 8259, 8.1',
    bytes: typed('Content-Type: application/json; charset=utf-16'),
    ...UNSUPPORTED,
  },
  {
    name: 'text/plain',
    why: 'RFC 9110, 15.5.16',
    bytes: typed('Content-Type: text/plain'),
    ...UNSUPPORTED,
  },
  {
    name: 'a form',
    why: 'RFC 9110, 15.5.16',
    bytes: typed('Content-Type: application/x-www-form-urlencoded'),
    ...UNSUPPORTED,
  },
  {
    name: 'text/json',
    why: 'RFC 9110, 15.5.16',
    bytes: typed('Content-Type: text/json'),
    ...UNSUPPORTED,
  },
  {
    name: 'application/jsonp',
    why: 'RFC 9110, 15.5.16',
    bytes: typed('Content-Type: application/jsonp'),
    ...UNSUPPORTED,
  },
  {
    name: 'application/problem+json',
    why: 'RFC 9110, 15.5.16',
    bytes: typed('Content-Type: application/problem+json'),
    ...UNSUPPORTED,
  },
  { name: 'no type', why: 'RFC 9110, 8.3', bytes: typed('X-Other: a'), ...UNSUPPORTED },
  { name: 'an empty type', why: 'RFC 9110, 8.3', bytes: typed('Content-Type:'), ...UNSUPPORTED },
  {
    name: 'two types',
    why: 'RFC 9110, 8.3: one field value',
    bytes: typed(JSON_TYPE, JSON_TYPE),
    expect: 400,
  },
  {
    name: 'two different types',
    why: 'RFC 9110, 8.3',
    bytes: typed('Content-Type: text/plain', JSON_TYPE),
    expect: 400,
  },
  {
    name: 'a list of types',
    why: 'RFC 9110, 8.3',
    bytes: typed('Content-Type: application/json, text/plain'),
    expect: [400, 415],
  },
  {
    name: 'a patch as application/json',
    why: 'RFC 5789, 2',
    bytes: send('PATCH', TASK, CHANGE),
    expect: 200,
  },
  {
    name: 'a patch as application/merge-patch+json',
    why: 'RFC 7396, 4',
    bytes: send('PATCH', TASK, CHANGE, 'Content-Type: application/merge-patch+json'),
    expect: 200,
  },
  {
    name: 'a patch as application/merge-patch+json with a charset',
    why: 'RFC 7396, 4',
    bytes: send('PATCH', TASK, CHANGE, 'Content-Type: application/merge-patch+json; charset=utf-8'),
    expect: 200,
  },
  {
    name: 'a patch as application/json-patch+json',
    why: 'RFC 5789, 2.2',
    bytes: send('PATCH', TASK, '[]', 'Content-Type: application/json-patch+json'),
    ...UNSUPPORTED,
  },
  {
    name: 'a merge patch to create',
    why: 'RFC 9110, 15.5.16',
    bytes: typed('Content-Type: application/merge-patch+json'),
    expect: 415,
  },
  {
    name: 'Content-Encoding: identity',
    why: 'RFC 9110, 8.4',
    bytes: typed(JSON_TYPE, 'Content-Encoding: identity'),
    expect: [201, 415],
  },
  {
    name: 'Content-Encoding: gzip',
    why: 'RFC 9110, 8.4',
    bytes: typed(JSON_TYPE, 'Content-Encoding: gzip'),
    ...UNSUPPORTED,
  },
  {
    name: 'Content-Encoding: br',
    why: 'RFC 9110, 8.4',
    bytes: typed(JSON_TYPE, 'Content-Encoding: br'),
    ...UNSUPPORTED,
  },
  {
    name: 'two encodings',
    why: 'RFC 9110, 8.4',
    bytes: typed(JSON_TYPE, 'Content-Encoding: gzip', 'Content-Encoding: identity'),
    expect: [400, 415],
  },
  {
    name: 'Expect: 100-continue',
    why: 'RFC 9110, 10.1.1',
    bytes: expecting('100-continue'),
    expect: 201,
  },
  {
    name: 'Expect: 100-Continue',
    why: 'RFC 9110, 10.1.1: no case',
    bytes: expecting('100-Continue'),
    expect: 201,
  },
  {
    name: 'Expect: something else',
    why: 'RFC 9110, 10.1.1',
    bytes: expecting('the-unexpected'),
    expect: [201, 417],
  },
  {
    name: 'Expect without a token',
    why: 'RFC 9110, 10.1.1',
    bytes: sendOpen('POST', TASKS, BODY, JSON_TYPE, 'Expect: 100-continue'),
    expect: 401,
  },
  { name: 'a body of the largest size', why: 'docs/limits.md', bytes: sized(65_536), expect: 201 },
  {
    name: 'a body one byte over',
    why: 'RFC 9110, 15.5.14',
    bytes: sized(65_537),
    expect: 413,
    body: { code: 'payload_too_large' },
  },
  { name: 'a body twice the size', why: 'RFC 9110, 15.5.14', bytes: sized(131_072), expect: 413 },
  {
    name: 'a length far over the limit',
    why: 'RFC 9110, 15.5.14',
    bytes: own('POST', TASKS, JSON_TYPE, 'Content-Length: 999999999'),
    expect: 413,
    unfinished: true,
  },
  {
    name: 'a length far over the limit without a token',
    why: 'RFC 9110, 15.5.2',
    bytes: plain('POST', TASKS, JSON_TYPE, 'Content-Length: 999999999'),
    expect: [401, 413],
    unfinished: true,
  },
  {
    name: 'a body over the limit to login',
    why: 'RFC 9110, 15.5.14',
    bytes: sendOpen('POST', LOGIN, '{}'.padEnd(65_537)),
    expect: 413,
  },
  {
    name: 'an empty body with its type',
    why: 'RFC 8259, 2',
    bytes: send('POST', TASKS, ''),
    expect: 400,
  },
]
