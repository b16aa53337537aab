// The query of a list, cursors, and ids in paths.
import { type Case, own, TASKS } from '../case.ts'

const list = (query: string) => own('GET', `${TASKS}?${query}`)
const cursor = (text: string) => list(`cursor=${Buffer.from(text).toString('base64url')}`)
const read = (id: string) => own('GET', `${TASKS}/${id}`)
const remove = (id: string) => own('DELETE', `${TASKS}/${id}`)
const ID = '00000000-0000-4000-8000-000000000000'
const invalid = (pointer: string) => ({ expect: 400, body: { errors: [{ pointer }] } }) as const

const QUERIES: readonly Case[] = [
  { name: 'a status', why: 'one of four', bytes: list('status=done'), expect: 200 },
  { name: 'an escaped status', why: 'RFC 3986, 2.1', bytes: list('status=%64one'), expect: 200 },
  { name: 'another status', why: 'one of four', bytes: list('status=any'), ...invalid('/status') },
  { name: 'an empty status', why: 'one of four', bytes: list('status='), ...invalid('/status') },
  {
    name: 'a status twice',
    why: 'one value',
    bytes: list('status=done&status=todo'),
    ...invalid('/status'),
  },
  { name: 'a limit', why: 'at least 1', bytes: list('limit=1'), expect: 200 },
  {
    name: 'a limit over the largest',
    why: 'README: counts as 100',
    bytes: list('limit=1000000'),
    expect: 200,
  },
  { name: 'a limit of 0', why: 'at least 1', bytes: list('limit=0'), ...invalid('/limit') },
  { name: 'a limit of -1', why: 'at least 1', bytes: list('limit=-1'), ...invalid('/limit') },
  { name: 'a limit of 1.5', why: 'an integer', bytes: list('limit=1.5'), ...invalid('/limit') },
  { name: 'a limit of 1e1', why: 'an integer', bytes: list('limit=1e1'), ...invalid('/limit') },
  {
    name: 'a limit with a space',
    why: 'an integer',
    bytes: list('limit=+1'),
    ...invalid('/limit'),
  },
  {
    name: 'a limit of 20 digits',
    why: 'an integer that numbers can hold',
    bytes: list('limit=99999999999999999999'),
    ...invalid('/limit'),
  },
  { name: 'an offset', why: 'at least 0', bytes: list('offset=0'), expect: 200 },
  {
    name: 'the largest offset',
    why: 'what int holds',
    bytes: list('offset=2147483647'),
    expect: 200,
    body: [],
  },
  {
    name: 'an offset beyond int',
    why: 'what int holds',
    bytes: list('offset=2147483648'),
    ...invalid('/offset'),
  },
  {
    name: 'an unknown name',
    why: 'unknown fields are refused',
    bytes: list('sort=title'),
    ...invalid('/sort'),
  },
  {
    name: '__proto__ as a name',
    why: 'unknown fields are refused',
    bytes: list('__proto__=x'),
    ...invalid('/__proto__'),
  },
  {
    name: 'a name with brackets',
    why: 'unknown fields are refused',
    bytes: list('status[]=done'),
    ...invalid('/status[]'),
  },
  {
    name: 'a name alone',
    why: 'WHATWG URL, 5.1: an empty value',
    bytes: list('limit'),
    ...invalid('/limit'),
  },
  { name: 'ampersands alone', why: 'WHATWG URL, 5.1: nothing', bytes: list('&&&'), expect: 200 },
  {
    name: 'a broken escape',
    why: 'WHATWG URL, 1.3: stays as it is',
    bytes: list('status=%zz'),
    ...invalid('/status'),
  },
  {
    name: 'an escaped NUL',
    why: 'one of four',
    bytes: list('status=done%00'),
    ...invalid('/status'),
  },
  {
    name: 'bytes that are no UTF-8',
    why: 'WHATWG URL, 5.1',
    bytes: list('status=%ff'),
    ...invalid('/status'),
  },
  {
    name: 'a thousand names',
    why: 'errors are bounded',
    bytes: list(Array.from({ length: 1000 }, (_, index) => `k${index}=1`).join('&')),
    expect: 400,
    errorsMax: 50,
  },
]

const CURSORS: readonly Case[] = [
  { name: 'a cursor of a page', why: 'README', bytes: list('cursor={cursor}'), expect: 200 },
  {
    name: 'a forged cursor',
    why: 'it names a place in your own list',
    bytes: cursor(`2026-01-01T00:00:00.000000Z/${ID}`),
    expect: 200,
  },
  {
    name: 'a cursor and an offset',
    why: 'not both',
    bytes: list('cursor={cursor}&offset=1'),
    expect: 400,
  },
  {
    name: 'an empty cursor',
    why: 'from the Link of a page',
    bytes: list('cursor='),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor that is no base64',
    why: 'from the Link of a page',
    bytes: list('cursor=%00%ff*'),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor without an id',
    why: 'from the Link of a page',
    bytes: cursor('2026-01-01T00:00:00Z/'),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor without a time',
    why: 'from the Link of a page',
    bytes: cursor(`/${ID}`),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor of the year 0000',
    why: 'RFC 3339, 5.6',
    bytes: cursor(`0000-12-31T23:00:00-01:00/${ID}`),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor of 31 April',
    why: 'RFC 3339, 5.7',
    bytes: cursor(`2026-04-31T00:00:00.000000Z/${ID}`),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor beyond the year 9999',
    why: 'RFC 3339, 5.6',
    bytes: cursor(`9999-12-31T23:59:59-01:00/${ID}`),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor with SQL',
    why: 'from the Link of a page',
    bytes: cursor(`2026-01-01T00:00:00Z/${ID}' or 1=1`),
    ...invalid('/cursor'),
  },
  {
    name: 'a cursor of 8 KiB',
    why: 'from the Link of a page',
    bytes: list(`cursor=${'A'.repeat(8192)}`),
    ...invalid('/cursor'),
  },
]

const IDS: readonly Case[] = [
  { name: 'your own task', why: 'RFC 9110, 15.3.1', bytes: read('{task}'), expect: 200 },
  { name: 'an id in capitals', why: 'RFC 9562, 4', bytes: read(ID.toUpperCase()), expect: 404 },
  { name: 'no such task', why: 'RFC 9110, 15.5.5', bytes: read('{absent}'), expect: 404 },
  {
    name: "somebody else's task",
    why: 'RFC 9110, 15.5.5: not said that it exists',
    bytes: read('{foreign}'),
    expect: 404,
    body: { error: 'Not found: task' },
  },
  {
    name: "somebody else's task, deleted",
    why: 'RFC 9110, 15.5.5',
    bytes: remove('{foreign}'),
    expect: 404,
  },
  {
    name: 'no such task, deleted',
    why: 'RFC 9110, 15.5.5',
    bytes: remove('{absent}'),
    expect: 404,
  },
  {
    name: 'your own task, deleted',
    why: 'RFC 9110, 15.3.5',
    bytes: remove('{spare}'),
    expect: [204, 404],
  },
  {
    name: 'the nil id',
    why: 'RFC 9562, 5.9',
    bytes: read('00000000-0000-0000-0000-000000000000'),
    expect: 404,
  },
  { name: 'a number as id', why: 'a UUID', bytes: read('1'), ...invalid('/id') },
  { name: 'an id in braces', why: 'RFC 9562, 4', bytes: read(`%7b${ID}%7d`), ...invalid('/id') },
  {
    name: 'an id without dashes',
    why: 'RFC 9562, 4',
    bytes: read(ID.replaceAll('-', '')),
    ...invalid('/id'),
  },
  { name: 'an id and SQL', why: 'a UUID', bytes: read(`${ID}'%20or%201=1`), ...invalid('/id') },
  { name: 'an id and a NUL', why: 'a UUID', bytes: read(`${ID}%00`), ...invalid('/id') },
  { name: 'an id to delete that is none', why: 'a UUID', bytes: remove('x'), ...invalid('/id') },
  { name: 'a path below a task', why: 'RFC 9110, 15.5.5', bytes: read('{task}/x'), expect: 404 },
]

export const queries: readonly Case[] = [...QUERIES, ...CURSORS, ...IDS]
