// RATE_LIMIT over HTTP: who is counted together, and what clients are told.
import { expect, test } from 'vitest'
import { type Answer, type Client, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const LIMIT = 5
const ID = '01a2024a-fc86-7056-b801-9e780d49bebb'
const limited = useService({ RATE_LIMIT: `${LIMIT}/h`, LOG_REQUESTS: 'all' })
const unlimited = useService()

async function repeat(count: number, send: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let index = 0; index < count; index += 1) answers.push(await send())
  return answers
}

function statuses(answers: Answer[]): number[] {
  return answers.map(({ status }) => status)
}

function login(client: Client): Promise<Answer> {
  return client.post('/api/v1/auth/login', { email: 'a@example.com' })
}

test('accounts are counted each for itself, clients without one by their address', async () => {
  const { client } = limited
  // Both registrations count for the address.
  const [first, second] = [await register(client), await register(client)]
  const answers = await repeat(LIMIT + 1, () => client.get('/api/v1/tasks', first))
  expect(statuses(answers)).toEqual([200, 200, 200, 200, 200, 429])
  expect((await client.get('/api/v1/tasks', second)).status).toBe(200)

  const own = answers.map(({ headers }) => headers.get('ratelimit'))
  expect(own.slice(0, 5)).toEqual(
    [4, 3, 2, 1, 0].map((r, at) => `"default";r=${r};t=${720 * (at + 1)}`),
  )
  for (const { headers } of answers) {
    expect(headers.get('ratelimit-policy')).toBe(`"default";q=${LIMIT};w=3600`)
    expect(headers.get('cache-control')).toBe('no-store')
  }
  const refused = answers.at(-1)
  expect(refused?.body).toMatchObject({ code: 'too_many_requests' })
  const seconds = Number(refused?.headers.get('retry-after'))
  expect(seconds).toBeGreaterThan(700)
  expect(seconds).toBeLessThanOrEqual(720)
  expect(refused?.headers.get('ratelimit')).toBe(`"default";r=0;t=${seconds}`)

  // Other failures have the fields, too, and count: 400, 404, and 401 for the address, which has 3 left.
  const invalid = await client.get('/api/v1/tasks?x=1', second)
  expect([invalid.status, invalid.headers.get('ratelimit')?.slice(0, 13)]).toEqual([
    400,
    '"default";r=3',
  ])
  const missing = await client.get(`/api/v1/tasks/${ID}`, second)
  expect([missing.status, missing.headers.get('ratelimit')?.slice(0, 13)]).toEqual([
    404,
    '"default";r=2',
  ])
  const guesses = await repeat(3, () => client.get('/api/v1/tasks', { token: 'a.b.c' }))
  expect(statuses(guesses)).toEqual([401, 401, 401])
  expect(statuses([await client.get('/api/v1/tasks'), await login(client)])).toEqual([429, 429])
  // The account behind that address still has its own quota.
  expect((await client.get('/api/v1/tasks', second)).status).toBe(200)
})

test('probes, unknown paths and preflights are never limited', async () => {
  const { client } = limited
  for (const path of ['/health', '/ready']) {
    const answers = await repeat(LIMIT * 3, () => client.get(path))
    expect(new Set(statuses(answers))).toEqual(new Set([200]))
    expect(answers[0]?.headers.has('ratelimit')).toBe(false)
  }
  expect(new Set(statuses(await repeat(LIMIT * 3, () => client.get('/nope'))))).toEqual(
    new Set([404]),
  )
  const options = () => client.request('OPTIONS', '/api/v1/tasks')
  expect(new Set(statuses(await repeat(LIMIT * 3, options)))).toEqual(new Set([204]))
})

test('without the setting nothing is limited, and no field is sent', async () => {
  const answers = await repeat(LIMIT * 3, () => login(unlimited.client))
  expect(new Set(statuses(answers))).toEqual(new Set([400]))
  expect(answers[0]?.headers.has('ratelimit-policy')).toBe(false)
})
