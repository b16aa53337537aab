// Wrong passwords: whom they slow down, and whom they must not.
import { request } from 'node:http'
import { expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { type Account, createClient, eventually, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'
import { startService, type TestService } from '../support/service.ts'

// So many may wait that none of the guesses here is refused for that.
const ENV = { PASSWORD_QUEUE: '200', DB_STATEMENT_TIMEOUT_MS: '20000', REQUEST_TIMEOUT_MS: '30000' }
const fixture = useService(ENV)
const OF_PAIR = 10
const OF_ACCOUNT = 50
const OF_CLIENT = 100
const TIMEOUT_MS = 60_000
/** Where all accounts of these tests are registered. */
const HOME = '127.0.0.1'

let clients = 1

/** An address that has sent nothing before. */
function newClient(): string {
  clients += 1
  return `127.0.${Math.floor(clients / 250)}.${1 + (clients % 250)}`
}

interface Outcome {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Record<string, unknown>
}

function logIn(
  credentials: { email: string; password: string },
  from: string,
  service: TestService = fixture.service,
): Promise<Outcome> {
  const { email, password } = credentials
  const text = JSON.stringify({ email, password })
  return new Promise((resolve, reject) => {
    const sent = request(`${service.url}/api/v1/auth/login`, {
      method: 'POST',
      localAddress: from,
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
    })
    sent.once('error', reject)
    sent.once('response', (response) => {
      let received = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        received += chunk
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: JSON.parse(received),
        }),
      )
    })
    sent.end(text)
  })
}

/** Wrong passwords, one after the other. */
async function guess(
  email: string,
  from: string,
  times: number,
  service?: TestService,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (let index = 0; index < times; index += 1) {
    outcomes.push(await logIn({ email, password: `wrong guess ${index}` }, from, service))
  }
  return outcomes
}

function count(outcomes: readonly Outcome[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

test('120 wrong passwords of a stranger: ten are looked at, and the owner logs in all the while', async () => {
  const account = await register(fixture.client)
  const stranger = newClient()
  const outcomes = await guess(account.email, stranger, 120)
  expect(outcomes.slice(0, OF_PAIR).every(({ status }) => status === 401)).toBe(true)
  expect(count(outcomes)).toEqual({ 401: OF_PAIR, 429: 120 - OF_PAIR })
  const last = outcomes.at(-1)
  const seconds = Number(last?.headers['retry-after'])
  expect(last?.body).toMatchObject({
    code: 'too_many_requests',
    error: 'Too many failed logins, try again later',
  })
  expect(seconds).toBeGreaterThan(0)
  expect(seconds).toBeLessThanOrEqual(900)
  expect(last?.headers.ratelimit).toBe(`"login";r=0;t=${seconds}`)
  expect(last?.headers['ratelimit-policy']).toBe('"login";q=10;w=900')
  expect((await logIn(account, stranger)).status).toBe(429)
  expect((await logIn(account, HOME)).status).toBe(200)
})

test('many strangers share a budget for one account, which its owner does not need', async () => {
  const account = await register(fixture.client)
  const outcomes: Outcome[] = []
  for (let stranger = 0; stranger < 7; stranger += 1) {
    outcomes.push(...(await guess(account.email, newClient(), OF_PAIR)))
  }
  expect(count(outcomes)).toEqual({ 401: OF_ACCOUNT, 429: 70 - OF_ACCOUNT })
  const refused = await logIn(account, newClient())
  expect(refused.status).toBe(429)
  expect(refused.headers['ratelimit-policy']).toBe('"login-account";q=50;w=3600')
  expect((await logIn(account, HOME)).status).toBe(200)
  // Nor do strangers take the owner's own budget of mistakes.
  expect(count(await guess(account.email, HOME, OF_PAIR + 1))).toEqual({ 401: OF_PAIR, 429: 1 })
})

test('a client that tries many accounts is refused, and the others are not', async () => {
  const account = await register(fixture.client)
  const spray = newClient()
  const outcomes: Outcome[] = []
  for (let index = 0; index < OF_CLIENT + 5; index += 1) {
    outcomes.push(...(await guess(`nobody${index}@example.com`, spray, 1)))
    // To log in to an account of its own does not help it.
    if (index === OF_CLIENT / 2) expect((await logIn(account, spray)).status).toBe(200)
  }
  expect(count(outcomes)).toEqual({ 401: OF_CLIENT, 429: 5 })
  expect(outcomes.at(-1)?.headers['ratelimit-policy']).toBe('"login-client";q=100;w=3600')
  const other = await register(fixture.client)
  expect((await logIn(other, spray)).status).toBe(429)
  expect((await logIn(other, newClient())).status).toBe(200)
  // It is familiar to this account.
  expect((await logIn(account, spray)).status).toBe(200)
})

test('an account that exists and one that does not are refused alike', async () => {
  const { email } = await register(fixture.client)
  const strip = ({ status, headers, body }: Outcome) => ({
    status,
    policy: headers['ratelimit-policy'],
    challenge: headers['www-authenticate'],
    error: body.error,
    code: body.code,
  })
  const known = await guess(email, newClient(), OF_PAIR + 2)
  const unknown = await guess('not.there@example.com', newClient(), OF_PAIR + 2)
  expect(unknown.map(strip)).toEqual(known.map(strip))
  expect(count(known)).toEqual({ 401: OF_PAIR, 429: 2 })
})

test('the case of the address makes no other account of it', async () => {
  const { email } = await register(fixture.client)
  const stranger = newClient()
  await guess(email, stranger, OF_PAIR)
  expect(count(await guess(email.toUpperCase(), stranger, 1))).toEqual({ 429: 1 })
})

test('only failures count, and a success forgets those of its client', async () => {
  const account = await register(fixture.client)
  const client = newClient()
  const logins = await Promise.all(
    Array.from({ length: 3 * OF_PAIR }, () => logIn(account, client)),
  )
  expect(count(logins)).toEqual({ 200: 3 * OF_PAIR })
  for (let round = 0; round < 3; round += 1) {
    expect(count(await guess(account.email, client, OF_PAIR - 1))).toEqual({ 401: OF_PAIR - 1 })
    expect((await logIn(account, client)).status).toBe(200)
  }
})

test('guesses that are sent at once are no more than those sent one by one', async () => {
  const account = await register(fixture.client)
  const stranger = newClient()
  const guesses = Array.from({ length: 60 }, (_, index) =>
    logIn({ ...account, password: `wrong guess ${index}` }, stranger),
  )
  // It waits behind the others, and was admitted before any of them had failed.
  const right = logIn(account, stranger)
  expect(count(await Promise.all(guesses))).toEqual({ 401: OF_PAIR, 429: 60 - OF_PAIR })
  expect((await right).status).toBe(429)
})

test(
  'nodes share what they have counted, and restarts do not forget it',
  async () => {
    const account = await register(fixture.client)
    const stranger = newClient()
    const other = await startService(fixture.database.url, ENV)
    await guess(account.email, stranger, OF_PAIR / 2)
    const there = await guess(account.email, stranger, OF_PAIR, other)
    expect(count(there)).toEqual({ 401: OF_PAIR / 2, 429: OF_PAIR / 2 })
    expect((await logIn(account, stranger)).status).toBe(429)
    expect((await logIn(account, HOME, other)).status).toBe(200)
    await other.stop()
    const again = await startService(fixture.database.url, { ...ENV, LISTENERS: '2' })
    expect((await logIn(account, stranger, again)).status).toBe(429)
    expect((await logIn(account, HOME, again)).status).toBe(200)
    await again.stop()
  },
  TIMEOUT_MS,
)

test('while PostgreSQL does not take the counts, the listener counts by itself', async () => {
  const { database, service } = fixture
  const account = await register(fixture.client)
  const stranger = newClient()
  await database.query(`
    create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'full' using errcode = '53100'; end $$`)
  await database.query(
    'create trigger refuse before insert on login_failures for each row execute function refuse()',
  )
  expect(count(await guess(account.email, stranger, OF_PAIR + 2))).toEqual({ 401: OF_PAIR, 429: 2 })
  expect((await logIn(account, stranger)).status).toBe(429)
  expect((await logIn(account, HOME)).status).toBe(200)
  await database.query('drop trigger refuse on login_failures')
  const line = await service.line(({ msg }) => msg.startsWith('Login limits are kept'))
  expect(line.level).toBe('warn')
})

test('a login does not wait for counts that PostgreSQL is slow to take', async () => {
  const { database } = fixture
  const account = await register(fixture.client)
  await database.query(`
    create function wait() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(13); return new; end $$`)
  await database.query(
    'create trigger wait before insert on login_failures for each row execute function wait()',
  )
  const holder = openClient(readAddress(database.url), { max: 1, connectTimeoutMs: 5000 })
  await holder.begin(async (transaction) => {
    await transaction`select pg_advisory_xact_lock(13)`
    expect(count(await guess(account.email, newClient(), 1))).toEqual({ 401: 1 })
    const [row] = await database.query<{ waiting: string }>(
      `select count(*) as waiting from pg_locks where locktype = 'advisory' and not granted`,
    )
    expect(Number(row?.waiting)).toBeGreaterThan(0)
  })
  await holder.end()
  await database.query('drop trigger wait on login_failures')
})

test('with LOGIN_LIMITS=off nothing is counted', async () => {
  const account = await register(fixture.client)
  const service = await startService(fixture.database.url, { LOGIN_LIMITS: 'off' })
  const outcomes = await guess(account.email, newClient(), OF_PAIR + 2, service)
  expect(count(outcomes)).toEqual({ 401: OF_PAIR + 2 })
  await service.stop()
})

test('logins are logged: who and from where, and how many, but never what was typed', async () => {
  const service = await startService(fixture.database.url)
  const account: Account = await register(createClient(service.url))
  const stranger = newClient()
  await guess(account.email, stranger, OF_PAIR + 20, service)
  await guess('nobody.there@example.com', stranger, 1, service)
  await logIn(account, HOME, service)
  const told = (event: string, from: string, user?: string) => () =>
    service.lines
      .filter((line) => line.event === event && line.client === from && line.user_id === user)
      .reduce((sum, { repeats }) => sum + 1 + Number(repeats ?? 0) - (repeats ? 1 : 0), 0)
  const expected: [string, () => number, number][] = [
    ['failures', told('login_failed', stranger, account.id), OF_PAIR],
    ['failures of nobody', told('login_failed', stranger), 1],
    ['refusals', told('login_throttled', stranger), 20],
    ['the success', told('login_succeeded', HOME, account.id), 1],
    ['the registration', told('account_registered', HOME, account.id), 1],
  ]
  await service.stop()
  for (const [what, read, wanted] of expected) {
    await eventually(what, () => read() === wanted)
  }
  const text = JSON.stringify(service.lines)
  for (const secret of [account.email, account.password, 'nobody.there', 'wrong guess']) {
    expect(text).not.toContain(secret)
  }
})

test('the tables show no address, and do not grow for ever', async () => {
  const { database } = fixture
  const { id, email } = await register(fixture.client)
  await database.query(`
    insert into login_failures (key, failures, expires_at)
    select 'expired ' || n, 1, now() - interval '1 second' from generate_series(1, 5) n`)
  await guess(email, newClient(), 1)
  const rows = await database.query<{ key: string }>('select key from login_failures')
  const keys = JSON.stringify(rows)
  for (const shown of ['expired', email, '127.0']) expect(keys).not.toContain(shown)
  await database.query(`
    insert into familiar_clients (user_id, client, last_login_at)
    select '${id}', 'client ' || n, now() - n * interval '5 days 1 hour' from generate_series(30, 1, -1) n`)
  await guess(email, HOME, 1)
  const kept = await database.query<{ client: string }>(
    `select client from familiar_clients where user_id = '${id}' order by last_login_at`,
  )
  // Of ninety days, and no more than twenty.
  expect(kept.map(({ client }) => client)).toEqual([
    ...Array.from({ length: 17 }, (_, index) => `client ${17 - index}`),
    HOME,
  ])
  await database.query(`
    insert into familiar_clients (user_id, client) select '${id}', 'new ' || n from generate_series(1, 30) n`)
  const [row] = await database.query<{ count: string }>(
    `select count(*) from familiar_clients where user_id = '${id}'`,
  )
  expect(Number(row?.count)).toBe(20)
  await database.query(`delete from users where id = '${id}'`)
  expect(await database.query(`select from familiar_clients where user_id = '${id}'`)).toEqual([])
})
