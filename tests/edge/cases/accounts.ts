// The fields of registration and login.
import { type Case, LOGIN, REGISTER, sendOpen, utf8 } from '../case.ts'

const login = (fields: object) => sendOpen('POST', LOGIN, utf8(JSON.stringify(fields)))
const register = (fields: object) => sendOpen('POST', REGISTER, utf8(JSON.stringify(fields)))
const PASSWORD = 'a long enough phrase'
const email = (address: string) => register({ email: address, password: PASSWORD })
const invalid = (pointer: string) => ({ expect: 400, body: { errors: [{ pointer }] } }) as const

export const accounts: readonly Case[] = [
  {
    name: 'a new account',
    why: 'RFC 9110, 15.3.2',
    bytes: email('{unique}@example.com'),
    expect: [201, 429],
  },
  {
    name: 'an account that exists',
    why: 'RFC 9110, 15.5.10',
    bytes: email('somebody@example.com'),
    expect: [409, 429],
  },
  {
    name: 'an address without @',
    why: 'HTML, 4.10.5.1.5',
    bytes: email('ada'),
    ...invalid('/email'),
  },
  {
    name: 'an address without a dot',
    why: 'README',
    bytes: email('ada@localhost'),
    ...invalid('/email'),
  },
  { name: 'two @', why: 'HTML, 4.10.5.1.5', bytes: email('a@b@example.com'), ...invalid('/email') },
  {
    name: 'a space in an address',
    why: 'HTML, 4.10.5.1.5',
    bytes: email('a da@example.com'),
    ...invalid('/email'),
  },
  {
    name: 'a line end in an address',
    why: 'HTML, 4.10.5.1.5',
    bytes: email('ada@example.com\r\nBcc: x@example.com'),
    ...invalid('/email'),
  },
  {
    name: 'an umlaut in an address',
    why: 'docs/limits.md',
    bytes: email('ädä@example.com'),
    ...invalid('/email'),
  },
  {
    name: 'an address of 255',
    why: 'RFC 5321, 4.5.3.1',
    bytes: email(`${'a'.repeat(243)}@example.com`),
    ...invalid('/email'),
  },
  {
    name: 'a password of 7',
    why: '8 to 128 characters',
    bytes: register({ email: 'a@example.com', password: 'zq7w81x' }),
    ...invalid('/password'),
  },
  {
    name: 'a password of 129',
    why: '8 to 128 characters',
    bytes: register({ email: 'a@example.com', password: 'q'.repeat(129) }),
    ...invalid('/password'),
  },
  {
    name: 'a password with a NUL',
    why: 'README',
    bytes: register({ email: 'a@example.com', password: 'a long \0 phrase' }),
    ...invalid('/password'),
  },
  {
    name: 'a password that is a number',
    why: 'a string',
    bytes: register({ email: 'a@example.com', password: 12_345_678_901 }),
    ...invalid('/password'),
  },
  {
    name: 'an unknown field',
    why: 'unknown fields are refused',
    bytes: register({ email: 'a@example.com', password: PASSWORD, admin: true }),
    ...invalid('/admin'),
  },
  {
    name: 'no fields to register',
    why: 'required',
    bytes: register({}),
    expect: 400,
    body: { errors: [{ pointer: '/email' }, { pointer: '/password' }] },
  },
  {
    name: 'no fields to login',
    why: 'required',
    bytes: login({}),
    expect: 400,
    body: { errors: [{ pointer: '/email' }, { pointer: '/password' }] },
  },
  {
    name: 'an array to login',
    why: 'a string',
    bytes: login({ email: ['a@example.com'], password: 'x' }),
    ...invalid('/email'),
  },
  {
    name: 'an operator to login',
    why: 'a string',
    bytes: login({ email: 'a@example.com', password: { $ne: '' } }),
    ...invalid('/password'),
  },
  {
    name: 'a login without an account',
    why: 'RFC 9110, 15.5.2',
    bytes: login({ email: 'nobody@example.com', password: PASSWORD }),
    expect: [401, 429],
  },
  {
    name: 'a login without an e-mail address',
    why: 'the one answer for wrong credentials',
    bytes: login({ email: 'nobody', password: 'x' }),
    expect: [401, 429],
  },
  {
    name: 'five thousand unknown fields of a login',
    why: 'errors are bounded',
    bytes: login(Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 1]))),
    expect: 400,
    errorsMax: 50,
  },
]
