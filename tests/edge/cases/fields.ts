// The fields of a task and of an account, at their limits and beyond.
import { type Case, LOGIN, REGISTER, send, sendOpen, TASK, TASKS, utf8 } from '../case.ts'

const create = (fields: object) => send('POST', TASKS, utf8(JSON.stringify({ title: 'x', ...fields })))
const change = (fields: object) => send('PATCH', TASK, utf8(JSON.stringify(fields)))
const due = (text: string) => create({ due_at: text })
const login = (fields: object) => sendOpen('POST', LOGIN, utf8(JSON.stringify(fields)))
const register = (fields: object) => sendOpen('POST', REGISTER, utf8(JSON.stringify(fields)))
const PASSWORD = 'a long enough phrase'
const email = (address: string) => register({ email: address, password: PASSWORD })
const invalid = (pointer: string) => ({ expect: 400, body: { errors: [{ pointer }] } }) as const

const TITLES: readonly Case[] = [
  { name: 'an empty title', why: '1 to 200 characters', bytes: create({ title: '' }), ...invalid('/title') },
  { name: 'a title of 200', why: '1 to 200 characters', bytes: create({ title: 'a'.repeat(200) }), expect: 201 },
  { name: 'a title of 201', why: '1 to 200 characters', bytes: create({ title: 'a'.repeat(201) }), ...invalid('/title') },
  { name: 'a title of 200 emoji', why: 'characters, not UTF-16 units', bytes: create({ title: '🦀'.repeat(200) }), expect: 201 },
  { name: 'a title of 201 emoji', why: 'characters, not UTF-16 units', bytes: create({ title: '🦀'.repeat(201) }), ...invalid('/title') },
  { name: 'a title of spaces', why: '1 to 200 characters', bytes: create({ title: '  ' }), expect: 201 },
  { name: 'no title', why: 'required', bytes: send('POST', TASKS, '{"priority":"low"}'), ...invalid('/title') },
  { name: 'a title of null', why: 'a string', bytes: create({ title: null }), ...invalid('/title') },
  { name: 'a title that is a number', why: 'a string', bytes: create({ title: 1 }), ...invalid('/title') },
  { name: 'a title that is an array', why: 'a string', bytes: create({ title: ['x'] }), ...invalid('/title') },
  { name: 'a title that would be SQL', why: 'a string like any other', bytes: create({ title: "'; drop table tasks; --" }), expect: 201, body: { title: "'; drop table tasks; --" } },
  { name: 'a title that would be script', why: 'a string like any other', bytes: create({ title: '</script><b>' }), expect: 201, body: { title: '</script><b>' } },
  { name: 'a title with a replacement character', why: 'a character like any other', bytes: create({ title: '\ufffd' }), expect: 201 },
  { name: 'a description of 2000', why: '0 to 2000 characters', bytes: create({ description: 'é'.repeat(2000) }), expect: 201 },
  { name: 'a description of 2001', why: '0 to 2000 characters', bytes: create({ description: 'é'.repeat(2001) }), ...invalid('/description') },
  { name: 'an empty description', why: '0 to 2000 characters', bytes: create({ description: '' }), expect: 201 },
  { name: 'a description of null', why: 'may be null', bytes: create({ description: null }), expect: 201 },
  { name: 'a description that is false', why: 'a string', bytes: create({ description: false }), ...invalid('/description') },
  { name: 'a priority', why: 'low, medium, high', bytes: create({ priority: 'high' }), expect: 201, body: { priority: 'high' } },
  { name: 'a priority in capitals', why: 'low, medium, high', bytes: create({ priority: 'HIGH' }), ...invalid('/priority') },
  { name: 'a priority of null', why: 'low, medium, high', bytes: create({ priority: null }), ...invalid('/priority') },
  { name: 'a status at creation', why: 'unknown fields are refused', bytes: create({ status: 'done' }), ...invalid('/status') },
  { name: 'an id at creation', why: 'unknown fields are refused', bytes: create({ id: 'x' }), ...invalid('/id') },
  { name: 'an owner at creation', why: 'unknown fields are refused', bytes: create({ user_id: 'x' }), ...invalid('/user_id') },
]

const TIMES: readonly Case[] = [
  ['a time in UTC', '2026-12-24T18:00:00Z', 201],
  ['a time with an offset', '2026-12-24T18:00:00+05:30', 201],
  ['a time with an unknown offset', '2026-12-24T18:00:00-00:00', 201],
  ['a time in small letters', '2026-12-24t18:00:00z', 201],
  ['nine digits of a second', '2026-12-24T18:00:00.123456789Z', 201],
  ['ten digits of a second', '2026-12-24T18:00:00.1234567890Z', 400],
  ['no offset', '2026-12-24T18:00:00', 400],
  ['a date alone', '2026-12-24', 400],
  ['a space instead of T', '2026-12-24 18:00:00Z', 400],
  ['no seconds', '2026-12-24T18:00Z', 400],
  ['29 February', '2024-02-29T00:00:00Z', 201],
  ['29 February of another year', '2026-02-29T00:00:00Z', 400],
  ['29 February of 1900', '1900-02-29T00:00:00Z', 400],
  ['31 April', '2026-04-31T00:00:00Z', 400],
  ['a month of 13', '2026-13-01T00:00:00Z', 400],
  ['a month of 0', '2026-00-01T00:00:00Z', 400],
  ['hour 24', '2026-12-24T24:00:00Z', 400],
  ['a leap second', '2016-12-31T23:59:60Z', 400],
  ['an offset of 15:59', '2026-12-24T18:00:00+15:59', 201],
  ['an offset of 24:00', '2026-12-24T18:00:00+24:00', 400],
  ['the first instant', '0001-01-01T00:00:00Z', 201],
  ['the year 0000', '0000-06-01T00:00:00Z', 400],
  ['the year 0000 with an offset into 0001', '0000-12-31T23:00:00-01:00', 400],
  ['the year 0001 with an offset into 0000', '0001-01-01T00:00:00+01:00', 400],
  ['the last instant', '9999-12-31T23:59:58Z', 201],
  ['an offset beyond the year 9999', '9999-12-31T23:59:59-01:00', 400],
  ['a year of five digits', '10000-01-01T00:00:00Z', 400],
  ['a negative year', '-0001-01-01T00:00:00Z', 400],
  ['infinity', 'infinity', 400],
  ['now', 'now', 400],
  ['an empty time', '', 400],
  ['digits of another script', '٢٠٢٦-12-24T18:00:00Z', 400],
].map(([name = '', text = '', expect]) => ({ name: String(name), why: 'RFC 3339, 5.6', bytes: due(String(text)), expect: Number(expect) }))

const CHANGES: readonly Case[] = [
  { name: 'a due date that is a number', why: 'RFC 3339, 5.6', bytes: create({ due_at: 1_766_599_200 }), ...invalid('/due_at') },
  { name: 'a due date of null', why: 'may be null', bytes: create({ due_at: null }), expect: 201 },
  { name: 'no change', why: 'at least one field', bytes: change({}), expect: 400 },
  { name: 'a change of nothing but null', why: 'RFC 7396, 2', bytes: change({ due_at: null, description: null }), expect: 200, body: { due_at: null, description: null } },
  { name: 'a title removed', why: 'RFC 7396, 2: it is required', bytes: change({ title: null }), ...invalid('/title') },
  { name: 'every status', why: 'one of four', bytes: change({ status: 'done' }), expect: 200, body: { status: 'done' } },
  { name: 'another status', why: 'one of four', bytes: change({ status: 'Done' }), ...invalid('/status') },
  { name: 'another id', why: 'unknown fields are refused', bytes: change({ id: 'x' }), ...invalid('/id') },
  { name: 'another owner', why: 'unknown fields are refused', bytes: change({ user_id: 'x', title: 'y' }), ...invalid('/user_id') },
  { name: 'the year 0000 in a change', why: 'RFC 3339, 5.6', bytes: change({ due_at: '0000-12-31T23:00:00-01:00' }), ...invalid('/due_at') },
  { name: "a change of somebody else's task", why: 'RFC 9110, 15.5.5: not said that it exists', bytes: send('PATCH', `${TASKS}/{foreign}`, '{"title":"stolen"}'), expect: 404 },
  { name: 'a change of no task', why: 'RFC 9110, 15.5.5', bytes: send('PATCH', `${TASKS}/{absent}`, '{"title":"x"}'), expect: 404 },
  { name: 'a change of no id', why: 'a UUID', bytes: send('PATCH', `${TASKS}/1`, '{"title":"x"}'), ...invalid('/id') },
]

const ACCOUNTS: readonly Case[] = [
  { name: 'a new account', why: 'RFC 9110, 15.3.2', bytes: email('{unique}@example.com'), expect: [201, 429] },
  { name: 'an account that exists', why: 'RFC 9110, 15.5.10', bytes: email('somebody@example.com'), expect: [409, 429] },
  { name: 'an address without @', why: 'HTML, 4.10.5.1.5', bytes: email('ada'), ...invalid('/email') },
  { name: 'an address without a dot', why: 'README', bytes: email('ada@localhost'), ...invalid('/email') },
  { name: 'two @', why: 'HTML, 4.10.5.1.5', bytes: email('a@b@example.com'), ...invalid('/email') },
  { name: 'a space in an address', why: 'HTML, 4.10.5.1.5', bytes: email('a da@example.com'), ...invalid('/email') },
  { name: 'a line end in an address', why: 'HTML, 4.10.5.1.5', bytes: email('ada@example.com\r\nBcc: x@example.com'), ...invalid('/email') },
  { name: 'an umlaut in an address', why: 'README: Limits', bytes: email('ädä@example.com'), ...invalid('/email') },
  { name: 'an address of 255', why: 'RFC 5321, 4.5.3.1', bytes: email(`${'a'.repeat(243)}@example.com`), ...invalid('/email') },
  { name: 'a password of 7', why: '8 to 128 characters', bytes: register({ email: 'a@example.com', password: 'zq7w81x' }), ...invalid('/password') },
  { name: 'a password of 129', why: '8 to 128 characters', bytes: register({ email: 'a@example.com', password: 'q'.repeat(129) }), ...invalid('/password') },
  { name: 'a password with a NUL', why: 'README', bytes: register({ email: 'a@example.com', password: 'a long \0 phrase' }), ...invalid('/password') },
  { name: 'a password that is a number', why: 'a string', bytes: register({ email: 'a@example.com', password: 12_345_678_901 }), ...invalid('/password') },
  { name: 'an unknown field', why: 'unknown fields are refused', bytes: register({ email: 'a@example.com', password: PASSWORD, admin: true }), ...invalid('/admin') },
  { name: 'no fields to register', why: 'required', bytes: register({}), expect: 400, body: { errors: [{ pointer: '/email' }, { pointer: '/password' }] } },
  { name: 'no fields to login', why: 'required', bytes: login({}), expect: 400, body: { errors: [{ pointer: '/email' }, { pointer: '/password' }] } },
  { name: 'an array to login', why: 'a string', bytes: login({ email: ['a@example.com'], password: 'x' }), ...invalid('/email') },
  { name: 'an operator to login', why: 'a string', bytes: login({ email: 'a@example.com', password: { $ne: '' } }), ...invalid('/password') },
  { name: 'a login without an account', why: 'RFC 9110, 15.5.2', bytes: login({ email: 'nobody@example.com', password: PASSWORD }), expect: [401, 429] },
  { name: 'a login without an e-mail address', why: 'the one answer for wrong credentials', bytes: login({ email: 'nobody', password: 'x' }), expect: [401, 429] },
  { name: 'five thousand unknown fields of a login', why: 'errors are bounded', bytes: login(Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 1]))), expect: 400, errorsMax: 50 },
]

export const fields: readonly Case[] = [...TITLES, ...TIMES, ...CHANGES, ...ACCOUNTS]
