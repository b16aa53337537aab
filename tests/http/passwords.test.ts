// Which passwords are taken, and in which form.
import { hashSync } from '@node-rs/argon2'
import { expect, test } from 'vitest'
import { useService } from '../support/fixture.ts'

const fixture = useService()
const COSTS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
/** One letter with its accent, and two characters that are shown alike. */
const COMPOSED = 'caf\u00e9 on the corner'
const DECOMPOSED = 'cafe\u0301 on the corner'

let accounts = 0

function newEmail(): string {
  accounts += 1
  return `password${accounts}@example.com`
}

function post(path: 'register' | 'login', email: string, password: string) {
  return fixture.client.post(`/api/v1/auth/${path}`, { email, password })
}

test.each([
  ['password'],
  ['12345678'],
  ['PassWord123'],
  // In full width, as a Japanese keyboard writes it: the same in form NFKC.
  ['\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44'],
])('%s is refused, because everybody guesses it', async (password) => {
  const answer = await post('register', newEmail(), password)
  expect(answer.status).toBe(400)
  expect(answer.body).toMatchObject({
    code: 'invalid_request',
    errors: [
      {
        pointer: '/password',
        message: 'Expected a password that is not among the most common ones',
      },
    ],
  })
})

test.each([
  ['the address', 'ada.lovelace@example.com'],
  ['the address in another case', 'Ada.Lovelace@Example.com'],
  ['what is before the at sign', 'ADA.lovelace'],
])('%s is refused as a password', async (_, password) => {
  const answer = await post('register', 'ada.lovelace@example.com', password)
  expect(answer.status).toBe(400)
  expect(answer.body.errors).toEqual([
    { pointer: '/password', message: 'Expected a password other than the e-mail address' },
  ])
})

test('a password that is too short once it is normalised is refused', async () => {
  const answer = await post('register', newEmail(), 'e\u0301'.repeat(4))
  expect(answer.status).toBe(400)
  expect(answer.body.errors).toMatchObject([{ pointer: '/password' }])
})

test('a password is the same however its letters are composed', async () => {
  for (const [registered, typed] of [
    [COMPOSED, DECOMPOSED],
    [DECOMPOSED, COMPOSED],
  ] as const) {
    const email = newEmail()
    expect((await post('register', email, registered)).status).toBe(201)
    expect((await post('login', email, typed)).status).toBe(200)
    expect((await post('login', email, registered)).status).toBe(200)
    expect((await post('login', email, `${typed}!`)).status).toBe(401)
  }
})

test('a hash of what was typed, as earlier versions made it, still verifies and is renewed', async () => {
  const email = newEmail()
  const { body } = await post('register', email, 'another password')
  const old = hashSync(DECOMPOSED, COSTS)
  await fixture.database.query('update users set password_hash = $2 where id = $1', [
    body.user.id,
    old,
  ])
  expect((await post('login', email, COMPOSED)).status).toBe(401)
  expect((await post('login', email, DECOMPOSED)).status).toBe(200)
  expect((await post('login', email, COMPOSED)).status).toBe(200)
})

test('an account whose password has become too common can still log in', async () => {
  const email = newEmail()
  const { body } = await post('register', email, 'another password')
  await fixture.database.query('update users set password_hash = $2 where id = $1', [
    body.user.id,
    hashSync('password', COSTS),
  ])
  expect((await post('login', email, 'password')).status).toBe(200)
})
