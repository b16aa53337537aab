import { dictionary } from '@zxcvbn-ts/language-common'
import { afterAll, expect, test } from 'vitest'
import { isCommonPassword } from '../../src/workers/passwords/common.ts'
import { type Call, createPasswordPool } from '../../src/workers/passwords/pool.ts'

const PASSWORD = 'correct horse'
const errors: Error[] = []
const pool = createPasswordPool({
  threads: 1,
  queueMax: 4,
  onError: (error) => errors.push(error),
})

afterAll(async () => {
  await pool.close()
  expect(errors).toEqual([])
})

function callOf(waitMs = 30_000, client = '127.0.0.1'): Call & { ended: boolean } {
  return { client, deadlineMs: performance.now() + waitMs, ended: false }
}

function nameOf(settled: Promise<unknown>): Promise<string> {
  return settled.then(
    () => 'hashed',
    (error: Error) => error.name,
  )
}

test('a hash verifies its own password, no other, and no account at all', async () => {
  const hash = await pool.hash(callOf(), PASSWORD)
  expect(await pool.verify(callOf(), PASSWORD, hash)).toBe(true)
  expect(await pool.verify(callOf(), `${PASSWORD}!`, hash)).toBe(false)
  expect(await pool.verify(callOf(), PASSWORD, undefined)).toBe(false)
})

test('a waiting password is not hashed once its client has left', async () => {
  const running = nameOf(pool.hash(callOf(), PASSWORD))
  const leaving = callOf()
  const left = nameOf(pool.hash(leaving, PASSWORD))
  const next = nameOf(pool.hash(callOf(), PASSWORD))
  leaving.ended = true
  expect(await Promise.all([running, left, next])).toEqual(['hashed', 'CallOverError', 'hashed'])
})

test('a password whose turn would come after its deadline is refused at once', async () => {
  const running = [callOf(), callOf()].map((call) => nameOf(pool.hash(call, PASSWORD)))
  let answered = 0
  for (const call of running) void call.then(() => (answered += 1))
  expect(await nameOf(pool.hash(callOf(3), PASSWORD))).toBe('PasswordPoolFullError')
  expect(answered).toBe(0)
  expect(await Promise.all(running)).toEqual(['hashed', 'hashed'])
})

test('one password too many is refused at once, and the others are hashed', async () => {
  const hashes = Array.from({ length: 6 }, () => nameOf(pool.hash(callOf(), PASSWORD)))
  expect(await Promise.all(hashes)).toEqual([
    ...Array.from({ length: 5 }, () => 'hashed'),
    'PasswordShareError',
  ])
})

test('of the common passwords, far more than 3000 are long enough to be chosen, and each is known', async () => {
  const long = dictionary['passwords-common'].filter((password) => password.length >= 8)
  expect(long.length).toBeGreaterThan(15_000)
  for (const index of [0, 1, 2999, 9000, long.length - 1]) {
    expect(await isCommonPassword(long[index]?.toUpperCase() ?? '')).toBe(true)
  }
  expect(await isCommonPassword(PASSWORD)).toBe(false)
})
