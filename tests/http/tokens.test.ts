// Verified tokens are remembered; these are the ways in which that could go wrong.
import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { type Account, createClient, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'
import { JWT_SECRET, startService } from '../support/service.ts'
import { claimsOf, signed } from '../support/tokens.ts'

const fixture = useService()
const OTHER_SECRET = 'another secret for tests, 32 bytes too'
/** More tokens than are remembered. */
const TOKENS = 3000
const CLIENTS = 50

let ada: Account
let bob: Account

beforeAll(async () => {
  ada = await register(fixture.client)
  bob = await register(fixture.client)
  for (const { id, token } of [ada, bob]) {
    await fixture.client.post('/api/v1/tasks', { title: `Of ${id}` }, { token })
  }
})

function sign(
  userId: string,
  options: { secret?: string; expiresAt?: number; jti?: string } = {},
): string {
  const now = Math.floor(Date.now() / 1000)
  const { secret = JWT_SECRET, expiresAt = now + 600, jti = randomUUID() } = options
  return signed({ ...claimsOf(userId), iat: now, exp: expiresAt, jti }, { secret })
}

/** The status, and whose tasks the answer has. */
async function readOwners(token: string): Promise<{ status: number; owners: string[] }> {
  const { status, body } = await fixture.client.get('/api/v1/tasks', { token })
  const rows: { user_id: string }[] = status === 200 ? body : []
  return { status, owners: rows.map((row) => row.user_id) }
}

test('a token that was accepted before is refused once it has expired', async () => {
  const expiresAt = Math.floor(Date.now() / 1000) + 3
  const token = sign(ada.id, { expiresAt })
  for (let use = 0; use < 3; use += 1) {
    expect(await readOwners(token)).toEqual({ status: 200, owners: [ada.id] })
  }
  await new Promise((resolve) => setTimeout(resolve, expiresAt * 1000 - Date.now() + 50))
  for (let use = 0; use < 3; use += 1) {
    const answer = await fixture.client.get('/api/v1/tasks', { token })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  }
})

test('an accepted payload with another signature is refused, each time', async () => {
  const good = sign(ada.id)
  expect((await readOwners(good)).status).toBe(200)
  const [header = '', payload = '', signature = ''] = good.split('.')
  const [, , foreign] = sign(ada.id, { secret: OTHER_SECRET }).split('.')
  const first = signature.startsWith('A') ? 'B' : 'A'
  const forged = [
    `${header}.${payload}.${foreign}`,
    `${header}.${payload}.${first}${signature.slice(1)}`,
    `${header}.${payload}.${signature.slice(0, -4)}`,
    `${header}.${payload}.${signature}AAAA`,
  ]
  for (const token of [...forged, ...forged]) expect((await readOwners(token)).status).toBe(401)
  expect(await readOwners(good)).toEqual({ status: 200, owners: [ada.id] })
})

test('an accepted signature does not carry over to another account', async () => {
  const good = sign(ada.id)
  expect((await readOwners(good)).status).toBe(200)
  const [header, , signature] = good.split('.')
  const [, payload] = sign(bob.id).split('.')
  expect((await readOwners(`${header}.${payload}.${signature}`)).status).toBe(401)
})

test('more tokens than are remembered all work, each for its own account', async () => {
  const tokens = Array.from({ length: TOKENS }, (_, index) => {
    const { id } = index % 2 === 0 ? ada : bob
    return { id, token: sign(id, { jti: String(index) }) }
  })
  const waiting = tokens.values()
  const runClient = async () => {
    for (const { id, token } of waiting) {
      expect(await readOwners(token)).toEqual({ status: 200, owners: [id] })
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, runClient))
  // By now, the service has forgotten the first ones and still remembers the last ones.
  for (const { id, token } of [...tokens.slice(0, 3), ...tokens.slice(-3)]) {
    expect(await readOwners(token)).toEqual({ status: 200, owners: [id] })
  }
})

test('a change of the secret logs nobody out, in either order of the nodes', async () => {
  const before = { JWT_SECRET, JWT_SECRET_PREVIOUS: OTHER_SECRET }
  const after = { JWT_SECRET: OTHER_SECRET, JWT_SECRET_PREVIOUS: JWT_SECRET }
  const nodes = await Promise.all(
    [before, after, { JWT_SECRET: OTHER_SECRET }].map((env) =>
      startService(fixture.database.url, env),
    ),
  )
  const clients = nodes.map(({ url }) => createClient(url))
  const { email, password } = ada
  const logins = await Promise.all(
    clients.map((client) => client.post('/api/v1/auth/login', { email, password })),
  )
  const tokens: string[] = logins.map(({ body }) => body.token)
  const accepted = async (token: string) => {
    const answers = await Promise.all(
      clients.map((client) => client.get('/api/v1/tasks', { token })),
    )
    return answers.map(({ status }) => status)
  }
  // Only the node that no longer has the first secret refuses what it signed.
  expect(await Promise.all([ada.token, ...tokens].map(accepted))).toEqual([
    [200, 200, 401],
    [200, 200, 401],
    [200, 200, 200],
    [200, 200, 200],
  ])
  await Promise.all(nodes.map((node) => node.stop()))
})
