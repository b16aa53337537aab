// The fields of a new task, at their limits and beyond.
import { type Case, send, TASKS, utf8 } from '../case.ts'

const create = (fields: object) =>
  send('POST', TASKS, utf8(JSON.stringify({ title: 'x', ...fields })))
const invalid = (pointer: string) => ({ expect: 400, body: { errors: [{ pointer }] } }) as const

export const taskFields: readonly Case[] = [
  {
    name: 'an empty title',
    why: '1 to 200 characters',
    bytes: create({ title: '' }),
    ...invalid('/title'),
  },
  {
    name: 'a title of 200',
    why: '1 to 200 characters',
    bytes: create({ title: 'a'.repeat(200) }),
    expect: 201,
  },
  {
    name: 'a title of 201',
    why: '1 to 200 characters',
    bytes: create({ title: 'a'.repeat(201) }),
    ...invalid('/title'),
  },
  {
    name: 'a title of 200 emoji',
    why: 'characters, not UTF-16 units',
    bytes: create({ title: '🦀'.repeat(200) }),
    expect: 201,
  },
  {
    name: 'a title of 201 emoji',
    why: 'characters, not UTF-16 units',
    bytes: create({ title: '🦀'.repeat(201) }),
    ...invalid('/title'),
  },
  {
    name: 'a title of spaces',
    why: '1 to 200 characters',
    bytes: create({ title: '  ' }),
    expect: 201,
  },
  {
    name: 'no title',
    why: 'required',
    bytes: send('POST', TASKS, '{"priority":"low"}'),
    ...invalid('/title'),
  },
  {
    name: 'a title of null',
    why: 'a string',
    bytes: create({ title: null }),
    ...invalid('/title'),
  },
  {
    name: 'a title that is a number',
    why: 'a string',
    bytes: create({ title: 1 }),
    ...invalid('/title'),
  },
  {
    name: 'a title that is an array',
    why: 'a string',
    bytes: create({ title: ['x'] }),
    ...invalid('/title'),
  },
  {
    name: 'a title that would be SQL',
    why: 'a string like any other',
    bytes: create({ title: "'; drop table tasks; --" }),
    expect: 201,
    body: { title: "'; drop table tasks; --" },
  },
  {
    name: 'a title that would be script',
    why: 'a string like any other',
    bytes: create({ title: '</script><b>' }),
    expect: 201,
    body: { title: '</script><b>' },
  },
  {
    name: 'a title with a replacement character',
    why: 'a character like any other',
    bytes: create({ title: '\ufffd' }),
    expect: 201,
  },
  {
    name: 'a description of 2000',
    why: '0 to 2000 characters',
    bytes: create({ description: 'é'.repeat(2000) }),
    expect: 201,
  },
  {
    name: 'a description of 2001',
    why: '0 to 2000 characters',
    bytes: create({ description: 'é'.repeat(2001) }),
    ...invalid('/description'),
  },
  {
    name: 'an empty description',
    why: '0 to 2000 characters',
    bytes: create({ description: '' }),
    expect: 201,
  },
  {
    name: 'a description of null',
    why: 'may be null',
    bytes: create({ description: null }),
    expect: 201,
  },
  {
    name: 'a description that is false',
    why: 'a string',
    bytes: create({ description: false }),
    ...invalid('/description'),
  },
  {
    name: 'a priority',
    why: 'low, medium, high',
    bytes: create({ priority: 'high' }),
    expect: 201,
    body: { priority: 'high' },
  },
  {
    name: 'a priority in capitals',
    why: 'low, medium, high',
    bytes: create({ priority: 'HIGH' }),
    ...invalid('/priority'),
  },
  {
    name: 'a priority of null',
    why: 'low, medium, high',
    bytes: create({ priority: null }),
    ...invalid('/priority'),
  },
  {
    name: 'a status at creation',
    why: 'unknown fields are refused',
    bytes: create({ status: 'done' }),
    ...invalid('/status'),
  },
  {
    name: 'an id at creation',
    why: 'unknown fields are refused',
    bytes: create({ id: 'x' }),
    ...invalid('/id'),
  },
  {
    name: 'an owner at creation',
    why: 'unknown fields are refused',
    bytes: create({ user_id: 'x' }),
    ...invalid('/user_id'),
  },
]
