import { randomUUID } from 'node:crypto'
import { hashSync } from '@node-rs/argon2'
import { describe, expect, test } from 'vitest'
import { register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'
import { JWT_SECRET } from '../support/service.ts'
import { claimsOf, signed } from '../support/tokens.ts'

const fixture = useService({ LOG_REQUESTS: 'all' })
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/
const WRONG = 'Wrong e-mail address or password'

describe('register', () => {
  test('answers 201 with a token, its expiry and the account', async () => {
    const { client } = fixture
    const email = 'Grace.Hopper@Example.com'
    const { status, body, headers } = await client.post('/api/v1/auth/register', {
      email,
      password: 'long enough',
    })
    expect(status).toBe(201)
    expect(Object.keys(body)).toEqual(['token', 'expires_at', 'user'])
    expect(body.user).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      email,
      created_at: expect.stringMatching(INSTANT),
    })
    expect(headers.get('cache-control')).toBe('no-store')
    const claims = JSON.parse(Buffer.from(body.token.split('.')[1], 'base64url').toString())
    expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'sub'])
    expect(claims.sub).toBe(body.user.id)
    expect(claims.exp - claims.iat).toBe(24 * 3600)
    expect(Date.parse(body.expires_at)).toBe(claims.exp * 1000)
  })

  test('answers 409 when the address has an account in another case', async () => {
    const { client } = fixture
    const account = await register(client)
    const again = await client.post('/api/v1/auth/register', {
      email: account.email.toUpperCase(),
      password: 'long enough',
    })
    expect(again.status).toBe(409)
    expect(again.body.code).toBe('conflict')
  })

  test('makes one account when the same address registers many times at once', async () => {
    const { client } = fixture
    const body = { email: 'race@example.com', password: 'long enough' }
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => client.post('/api/v1/auth/register', body)),
    )
    const statuses = answers.map(({ status }) => status).sort()
    expect(statuses).toEqual([201, 409, 409, 409, 409, 409, 409, 409])
  })

  test.each([
    ['no at sign', { email: 'nobody', password: 'long enough' }, '/email'],
    ['no domain', { email: 'nobody@', password: 'long enough' }, '/email'],
    ['no dot in the domain', { email: 'nobody@host', password: 'long enough' }, '/email'],
    ['a space', { email: 'no body@example.com', password: 'long enough' }, '/email'],
    [
      '255 characters',
      { email: `${'a'.repeat(243)}@example.com`, password: 'long enough' },
      '/email',
    ],
    ['a number as e-mail', { email: 7, password: 'long enough' }, '/email'],
    ['no e-mail', { password: 'long enough' }, '/email'],
    ['a password of 7', { email: 'a@example.com', password: '1234567' }, '/password'],
    ['a password of 7 emoji', { email: 'a@example.com', password: '🔑'.repeat(7) }, '/password'],
    ['a password of 129', { email: 'a@example.com', password: 'x'.repeat(129) }, '/password'],
    [
      'an unknown field',
      { email: 'a@example.com', password: 'long enough', role: 'admin' },
      '/role',
    ],
  ])('answers 400 to %s', async (_, body, pointer) => {
    const answer = await fixture.client.post('/api/v1/auth/register', body)
    expect(answer.status).toBe(400)
    expect(answer.body.code).toBe('invalid_request')
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer])
  })

  test('takes passwords of 8 and of 128 code points', async () => {
    const { client } = fixture
    for (const [index, password] of ['🔑'.repeat(8), '🔑'.repeat(128)].entries()) {
      const email = `emoji${index}@example.com`
      const answer = await client.post('/api/v1/auth/register', { email, password })
      expect(answer.status).toBe(201)
      const login = await client.post('/api/v1/auth/login', { email, password })
      expect(login.status).toBe(200)
    }
  })
})

describe('login', () => {
  test('answers 200 with a token that works, whatever the case of the address', async () => {
    const { client } = fixture
    const { email, password, id } = await register(client)
    const answer = await client.post('/api/v1/auth/login', { email: email.toUpperCase(), password })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    // Nothing else: the row that was found has the hash of the password, too.
    expect(answer.body.user).toEqual({ id, email, created_at: expect.stringMatching(INSTANT) })
    const tasks = await client.get('/api/v1/tasks', { token: answer.body.token })
    expect(tasks.status).toBe(200)
  })

  test('answers a wrong password and an unknown address alike', async () => {
    const { client } = fixture
    const { email } = await register(client)
    const wrong = await client.post('/api/v1/auth/login', { email, password: 'not the password' })
    const unknown = await client.post('/api/v1/auth/login', {
      email: 'unknown@example.com',
      password: 'not the password',
    })
    const odd = await client.post('/api/v1/auth/login', { email: 'not an address', password: 'x' })
    for (const answer of [wrong, unknown, odd]) {
      const { request_id: _, ...rest } = answer.body
      expect(answer.status).toBe(401)
      expect(rest).toEqual({ error: WRONG, code: 'unauthorized' })
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
  })

  test('verifies a password for an unknown address, too', async () => {
    const { client } = fixture
    const { email } = await register(client)
    const time = async (address: string) => {
      const startedAt = performance.now()
      await client.post('/api/v1/auth/login', { email: address, password: 'not the password' })
      return performance.now() - startedAt
    }
    const known: number[] = []
    const unknown: number[] = []
    for (let round = 0; round < 5; round += 1) {
      known.push(await time(email))
      unknown.push(await time('unknown@example.com'))
    }
    // This is not about speed: without a verification, the unknown address would take a tenth of the other's time.
    expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 3)
  })

  test('renews a hash that was made with other costs', async () => {
    const { client, database } = fixture
    const { id, email, password } = await register(client)
    const cheap = hashSync(password, { memoryCost: 8192, timeCost: 1, parallelism: 1 })
    await database.query('update users set password_hash = $2 where id = $1', [id, cheap])
    expect((await client.post('/api/v1/auth/login', { email, password })).status).toBe(200)
    const [row] = await database.query<{ password_hash: string }>(
      'select password_hash from users where id = $1',
      [id],
    )
    expect(row?.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect((await client.post('/api/v1/auth/login', { email, password })).status).toBe(200)
  })

  test('does not run a stored hash that asks for absurd costs, and the log says why', async () => {
    const { client, database, service } = fixture
    const { id, email, password } = await register(client)
    const absurd = '$argon2id$v=19$m=4194304,t=99,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA'
    await database.query('update users set password_hash = $2 where id = $1', [id, absurd])
    const answer = await client.post('/api/v1/auth/login', { email, password })
    expect(answer.status).toBe(500)
    expect(answer.body.error).toBe('Internal server error')
    const requestId = answer.body.request_id
    const line = await service.line(
      ({ request_id, level }) => request_id === requestId && level === 'error',
    )
    expect(line).toMatchObject({
      msg: 'Request failed',
      code: 'internal',
      err: { message: expect.any(String) },
    })
  })
})

describe('tokens', () => {
  const now = Math.floor(Date.now() / 1000)
  const good = claimsOf(randomUUID())
  const HEADER = { alg: 'HS256', typ: 'at+jwt' }

  test('that say what they must are accepted', async () => {
    const answer = await fixture.client.get('/api/v1/tasks', { token: signed(good) })
    expect(answer.status).toBe(200)
  })

  test.each([
    ['no header', undefined],
    ['another scheme', 'Basic dXNlcjpwYXNz'],
    ['not a token', 'Bearer abc'],
    ['a token in pieces', 'Bearer a.b.c'],
    [
      'another secret',
      `Bearer ${signed(good, { secret: 'another secret of more than 32 bytes!' })}`,
    ],
    ['another secret under the name of ours', `Bearer ${signed(good, { signer: 'x'.repeat(32) })}`],
    ['no name of a key', `Bearer ${signed(good, { header: { ...HEADER, kid: undefined } })}`],
    ['alg none', `Bearer ${signed(good, { header: { ...HEADER, alg: 'none' } })}`],
    ['alg HS512', `Bearer ${signed(good, { header: { ...HEADER, alg: 'HS512' } })}`],
    ['another type', `Bearer ${signed(good, { header: { ...HEADER, typ: 'JWT' } })}`],
    ['no type', `Bearer ${signed(good, { header: { ...HEADER, typ: undefined } })}`],
    ['another issuer', `Bearer ${signed({ ...good, iss: 'other' })}`],
    ['another audience', `Bearer ${signed({ ...good, aud: 'other' })}`],
    ['expired', `Bearer ${signed({ ...good, exp: now - 60 })}`],
    ['not valid yet', `Bearer ${signed({ ...good, nbf: now + 60 })}`],
    ['no iss', `Bearer ${signed({ ...good, iss: undefined })}`],
    ['no aud', `Bearer ${signed({ ...good, aud: undefined })}`],
    ['no jti', `Bearer ${signed({ ...good, jti: undefined })}`],
    ['no exp', `Bearer ${signed({ ...good, exp: undefined })}`],
    ['no iat', `Bearer ${signed({ ...good, iat: undefined })}`],
    ['no sub', `Bearer ${signed({ ...good, sub: undefined })}`],
    ['a sub that is no id', `Bearer ${signed({ ...good, sub: 'admin' })}`],
    ['a sub that only looks like an id', `Bearer ${signed({ ...good, sub: '-'.repeat(36) })}`],
    [
      'what versions before this one issued',
      `Bearer ${signed({ sub: good.sub, iat: now, exp: now + 60 }, { header: { ...HEADER, typ: 'JWT', kid: undefined } })}`,
    ],
  ])('answers 401 to %s', async (_, authorization) => {
    const headers: Record<string, string> = authorization ? { authorization } : {}
    const answer = await fixture.client.get('/api/v1/tasks', { headers })
    expect(answer.status).toBe(401)
    expect(answer.body.code).toBe('unauthorized')
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
  })

  test('of an account that no longer exists cannot create', async () => {
    const answer = await fixture.client.post(
      '/api/v1/tasks',
      { title: 'orphan' },
      { token: signed(good) },
    )
    expect(answer.status).toBe(401)
  })

  test('are never logged, nor are passwords and addresses', async () => {
    const { client, service } = fixture
    const { email, password, token } = await register(client)
    await client.post('/api/v1/auth/login', { email, password: 'a wrong one' })
    await client.get('/api/v1/tasks', { token })
    await service.line(({ route }) => route === '/api/v1/tasks')
    const text = JSON.stringify(service.lines)
    for (const secret of [email, password, token, 'a wrong one', JWT_SECRET]) {
      expect(text).not.toContain(secret)
    }
  })
})
