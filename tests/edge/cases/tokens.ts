// Who asks: RFC 6750 and RFC 7519. Every forgery gets the same answer, before the body is read.
import { type Case, JSON_TYPE, plain, TASK, TASKS } from '../case.ts'

const as = (value: string) => plain('GET', TASKS, `Authorization: ${value}`)
const body = '{"title":"not mine"}'
const create = (value: string) =>
  plain('POST', TASKS, `Authorization: ${value}`, JSON_TYPE, `Content-Length: ${body.length}`) +
  body
const MISSING = {
  expect: 401,
  headers: { 'www-authenticate': /^Bearer$/ },
  body: { code: 'unauthorized' },
} as const
const INVALID = {
  expect: 401,
  headers: { 'www-authenticate': /^Bearer .*error="invalid_token"/ },
  body: { code: 'unauthorized' },
} as const

export const tokens: readonly Case[] = [
  { name: 'a good token', why: 'RFC 6750, 2.1', bytes: as('Bearer {token}'), expect: 200 },
  {
    name: 'a small bearer',
    why: 'RFC 9110, 11.1: schemes have no case',
    bytes: as('bearer {token}'),
    expect: 200,
  },
  { name: 'two spaces', why: 'RFC 9110, 11.4', bytes: as('Bearer  {token}'), expect: [200, 401] },
  { name: 'no credentials', why: 'RFC 6750, 3', bytes: plain('GET', TASKS), ...MISSING },
  { name: 'no credentials for a task', why: 'RFC 6750, 3', bytes: plain('GET', TASK), ...MISSING },
  {
    name: 'no credentials and a bad id',
    why: 'RFC 6750, 3: who asks comes first',
    bytes: plain('GET', `${TASKS}/x`),
    ...MISSING,
  },
  {
    name: 'no credentials and a bad query',
    why: 'RFC 6750, 3',
    bytes: plain('GET', `${TASKS}?limit=0`),
    ...MISSING,
  },
  { name: 'empty credentials', why: 'RFC 6750, 3', bytes: as(''), expect: 401 },
  { name: 'the scheme alone', why: 'RFC 6750, 2.1', bytes: as('Bearer'), expect: 401 },
  { name: 'Basic', why: 'RFC 6750, 2.1', bytes: as('Basic YTpi'), expect: 401 },
  { name: 'a token without its scheme', why: 'RFC 6750, 2.1', bytes: as('{token}'), expect: 401 },
  {
    name: 'a token in the query',
    why: 'RFC 6750, 2.3: not taken',
    bytes: plain('GET', `${TASKS}?access_token={token}`),
    expect: 401,
  },
  {
    name: 'a token in a cookie',
    why: 'RFC 6750, 2',
    bytes: plain('GET', TASKS, 'Cookie: token={token}'),
    expect: 401,
  },
  {
    name: 'a token with a parameter',
    why: 'RFC 6750, 2.1',
    bytes: as('Bearer {token}, realm=x'),
    expect: 401,
  },
  { name: 'an expired token', why: 'RFC 7519, 4.1.4', bytes: as('Bearer {expired}'), ...INVALID },
  {
    name: 'a token without exp',
    why: 'RFC 7519, 4.1.4',
    bytes: as('Bearer {endless}'),
    ...INVALID,
  },
  {
    name: 'a token without iat',
    why: 'RFC 7519, 4.1.6',
    bytes: as('Bearer {undated}'),
    ...INVALID,
  },
  { name: 'a token without sub', why: 'RFC 7519, 4.1.2', bytes: as('Bearer {nobody}'), ...INVALID },
  {
    name: 'a sub that is a number',
    why: 'RFC 7519, 4.1.2',
    bytes: as('Bearer {number}'),
    ...INVALID,
  },
  {
    name: 'a sub that is no account',
    why: 'RFC 7519, 4.1.2',
    bytes: as('Bearer {stranger}'),
    ...INVALID,
  },
  {
    name: 'a token of another key',
    why: 'RFC 7515, 5.2',
    bytes: as('Bearer {otherkey}'),
    ...INVALID,
  },
  { name: 'a changed signature', why: 'RFC 7515, 5.2', bytes: as('Bearer {flipped}'), ...INVALID },
  { name: 'a changed account', why: 'RFC 7515, 5.2', bytes: as('Bearer {stolen}'), ...INVALID },
  { name: 'alg none', why: 'RFC 8725, 3.1', bytes: as('Bearer {unsigned}'), ...INVALID },
  {
    name: 'alg none and a signature',
    why: 'RFC 8725, 3.1',
    bytes: as('Bearer {halfsigned}'),
    ...INVALID,
  },
  { name: 'another alg', why: 'RFC 8725, 3.1', bytes: as('Bearer {confused}'), ...INVALID },
  { name: 'a token of two parts', why: 'RFC 7515, 3.1', bytes: as('Bearer {cut}'), ...INVALID },
  {
    name: 'a token of four parts',
    why: 'RFC 7515, 3.1',
    bytes: as('Bearer {token}.x'),
    ...INVALID,
  },
  { name: 'a token and padding', why: 'RFC 7515, 2', bytes: as('Bearer {token}='), ...INVALID },
  { name: 'dots alone', why: 'RFC 7515, 3.1', bytes: as('Bearer ..'), ...INVALID },
  {
    name: 'letters that are no JSON',
    why: 'RFC 7515, 3',
    bytes: as('Bearer aaaa.bbbb.cccc'),
    ...INVALID,
  },
  {
    name: 'a token of 10 KiB',
    why: 'RFC 7515, 3',
    bytes: as(`Bearer ${'a'.repeat(10_240)}.b.c`),
    ...INVALID,
  },
  {
    name: 'a write with an expired token',
    why: 'RFC 7519, 4.1.4',
    bytes: create('Bearer {expired}'),
    ...INVALID,
  },
  {
    name: 'a write with a changed account',
    why: 'RFC 7515, 5.2',
    bytes: create('Bearer {stolen}'),
    ...INVALID,
  },
  {
    name: 'a write with alg none',
    why: 'RFC 8725, 3.1',
    bytes: create('Bearer {unsigned}'),
    ...INVALID,
  },
]
