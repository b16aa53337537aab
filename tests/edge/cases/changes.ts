// The fields of a change: RFC 7396.
import { type Case, send, TASK, TASKS, utf8 } from '../case.ts'

const create = (fields: object) =>
  send('POST', TASKS, utf8(JSON.stringify({ title: 'x', ...fields })))
const change = (fields: object) => send('PATCH', TASK, utf8(JSON.stringify(fields)))
const invalid = (pointer: string) => ({ expect: 400, body: { errors: [{ pointer }] } }) as const

export const changes: readonly Case[] = [
  {
    name: 'a due date that is a number',
    why: 'RFC 3339, 5.6',
    bytes: create({ due_at: 1_766_599_200 }),
    ...invalid('/due_at'),
  },
  { name: 'a due date of null', why: 'may be null', bytes: create({ due_at: null }), expect: 201 },
  { name: 'no change', why: 'at least one field', bytes: change({}), expect: 400 },
  {
    name: 'a change of nothing but null',
    why: 'RFC 7396, 2',
    bytes: change({ due_at: null, description: null }),
    expect: 200,
    body: { due_at: null, description: null },
  },
  {
    name: 'a title removed',
    why: 'RFC 7396, 2: it is required',
    bytes: change({ title: null }),
    ...invalid('/title'),
  },
  {
    name: 'every status',
    why: 'one of four',
    bytes: change({ status: 'done' }),
    expect: 200,
    body: { status: 'done' },
  },
  {
    name: 'another status',
    why: 'one of four',
    bytes: change({ status: 'Done' }),
    ...invalid('/status'),
  },
  {
    name: 'another id',
    why: 'unknown fields are refused',
    bytes: change({ id: 'x' }),
    ...invalid('/id'),
  },
  {
    name: 'another owner',
    why: 'unknown fields are refused',
    bytes: change({ user_id: 'x', title: 'y' }),
    ...invalid('/user_id'),
  },
  {
    name: 'the year 0000 in a change',
    why: 'RFC 3339, 5.6',
    bytes: change({ due_at: '0000-12-31T23:00:00-01:00' }),
    ...invalid('/due_at'),
  },
  {
    name: "a change of somebody else's task",
    why: 'RFC 9110, 15.5.5: not said that it exists',
    bytes: send('PATCH', `${TASKS}/{foreign}`, '{"title":"stolen"}'),
    expect: 404,
  },
  {
    name: 'a change of no task',
    why: 'RFC 9110, 15.5.5',
    bytes: send('PATCH', `${TASKS}/{absent}`, '{"title":"x"}'),
    expect: 404,
  },
  {
    name: 'a change of no id',
    why: 'a UUID',
    bytes: send('PATCH', `${TASKS}/1`, '{"title":"x"}'),
    ...invalid('/id'),
  },
]
