// The headers of answers, and their compression.
import { type Case, own, plain, send, TASK, TASKS } from '../case.ts'

const gzip = (value: string) => own('GET', '/openapi.json', `Accept-Encoding: ${value}`)
const COMPRESSED = {
  expect: 200,
  headers: { 'content-encoding': /^gzip$/, vary: /accept-encoding/i },
} as const
const PLAIN = {
  expect: 200,
  headers: { 'content-encoding': null, vary: /accept-encoding/i },
} as const

export const headers: readonly Case[] = [
  {
    name: 'nosniff',
    why: 'Fetch, 3.6',
    bytes: plain('GET', '/health'),
    expect: 200,
    headers: { 'x-content-type-options': /^nosniff$/ },
  },
  {
    name: 'nosniff on a failure',
    why: 'Fetch, 3.6',
    bytes: plain('GET', '/nope'),
    expect: 404,
    headers: { 'x-content-type-options': /^nosniff$/ },
  },
  {
    name: 'a list is not stored',
    why: 'RFC 9111, 5.2.2.5',
    bytes: own('GET', TASKS),
    expect: 200,
    headers: { 'cache-control': /no-store/ },
  },
  {
    name: 'a task is not stored',
    why: 'RFC 9111, 5.2.2.5',
    bytes: own('GET', TASK),
    expect: 200,
    headers: { 'cache-control': /no-store/ },
  },
  {
    name: 'a new task is not stored',
    why: 'RFC 9111, 5.2.2.5',
    bytes: send('POST', TASKS, '{"title":"x"}'),
    expect: 201,
    headers: { 'cache-control': /no-store/ },
  },
  {
    name: 'the Location of a new task',
    why: 'RFC 9110, 10.2.2',
    bytes: send('POST', TASKS, '{"title":"x"}'),
    expect: 201,
    headers: { location: /[0-9a-f-]{36}$/ },
  },
  {
    name: 'the type of an answer',
    why: 'RFC 8259, 11: no charset',
    bytes: plain('GET', '/health'),
    expect: 200,
    headers: { 'content-type': /^application\/json$/, date: /GMT$/ },
  },
  {
    name: 'no word about the software',
    why: 'RFC 9110, 10.2.4',
    bytes: plain('GET', '/health'),
    expect: 200,
    headers: { server: null, uwebsockets: null, 'x-powered-by': null },
  },
  { name: 'gzip', why: 'RFC 9110, 12.5.3', bytes: gzip('gzip'), ...COMPRESSED },
  { name: 'gzip in capitals', why: 'RFC 9110, 8.4.1', bytes: gzip('GZIP'), ...COMPRESSED },
  {
    name: 'gzip among others',
    why: 'RFC 9110, 12.5.3',
    bytes: gzip('deflate, gzip;q=0.5, br'),
    ...COMPRESSED,
  },
  { name: 'gzip refused', why: 'RFC 9110, 12.4.2', bytes: gzip('gzip;q=0'), ...PLAIN },
  {
    name: 'gzip refused with digits',
    why: 'RFC 9110, 12.4.2',
    bytes: gzip('gzip; q=0.000'),
    ...PLAIN,
  },
  { name: 'xgzip', why: 'RFC 9110, 12.5.3', bytes: gzip('xgzip'), ...PLAIN },
  { name: 'br alone', why: 'RFC 9110, 12.5.3', bytes: gzip('br'), ...PLAIN },
  { name: 'identity', why: 'RFC 9110, 12.5.3', bytes: gzip('identity'), ...PLAIN },
  { name: 'an empty Accept-Encoding', why: 'RFC 9110, 12.5.3', bytes: gzip(''), ...PLAIN },
  {
    name: 'eight thousand encodings',
    why: 'time is bounded',
    bytes: gzip('a,'.repeat(4000)),
    ...PLAIN,
  },
  {
    name: 'spaces to trip a pattern',
    why: 'time is bounded',
    bytes: gzip(`gzip${' '.repeat(8000)};`),
    expect: 200,
  },
]
