// The service behind the proxies of `deploy`: attacks on the framing, old clients, half-closed ones, and HEAD for monitors.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Account, createClient, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'
import { attackBytes, attacksWith, hiddenWrite } from './attacks.ts'
import { RawConnection } from './connection.ts'
import { hasProxy, PROXIES, type Proxy, type ProxyName, startProxy } from './proxy-server.ts'

/** How long the answer to an attack may take. */
const ATTACK_MS = 120
const ANSWER_MS_MAX = 5000
const AT_ONCE = 6
const CANARIES_EACH = 3
const MIXED_REQUESTS = 100

const fixture = useService()
let attacker: Account
let neighbour: Account & { task: string }

beforeAll(async () => {
  attacker = await register(fixture.client)
  const account = await register(fixture.client)
  const options = { token: account.token }
  const { body } = await fixture.client.post('/api/v1/tasks', { title: 'the canary' }, options)
  neighbour = { ...account, task: body.id }
})

function get(path: string, id: string): Buffer {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: service.example', `X-Request-Id: ${id}`]
  return Buffer.from([...lines, `Authorization: Bearer ${neighbour.token}`, '', ''].join('\r\n'))
}

/** Somebody else, over the same connections to the service: every answer must be the one that was asked for. */
async function askAsNeighbour(port: number, name: string): Promise<string[]> {
  const problems: string[] = []
  const connection = new RawConnection(port)
  for (let index = 0; index < CANARIES_EACH; index += 1) {
    const id = `canary-${crypto.randomUUID()}`
    connection.write(get(`/api/v1/tasks/${neighbour.task}`, id))
    const answer = await connection.answer('GET', ANSWER_MS_MAX)
    const own = typeof answer !== 'string' && answer.headers.get('x-request-id') === id
    if (!own || answer.status !== 200 || !answer.body.includes('"the canary"')) {
      problems.push(`${name}: a neighbour got ${typeof answer === 'string' ? answer : answer.body}`)
    }
  }
  connection.destroy()
  return problems
}

/** Everything that the attacker gets to see. */
async function send(port: number, bytes: Buffer): Promise<string> {
  const connection = new RawConnection(port)
  connection.write(bytes)
  await connection.endsQuietly(ATTACK_MS)
  connection.destroy()
  return connection.rest
}

/**
 * A write that is hidden in an attack must not happen. Only when its sender got the answer on the connection that it was
 * sent on was it nothing but the sender's next request.
 */
async function attack(port: number, name: string, title: string): Promise<string[]> {
  const problems: string[] = []
  const found = attacksWith(hiddenWrite(attacker.token, title)).find((each) => each.name === name)
  if (!found) throw new Error(`There is no attack "${name}"`)
  const [seen, during] = await Promise.all([
    send(port, attackBytes(found, attacker.token)),
    askAsNeighbour(port, `during ${name}`),
  ])
  problems.push(...during, ...(await askAsNeighbour(port, `after ${name}`)))
  const rows = await fixture.database.query('select 1 from tasks where title = $1', [title])
  const answered = seen.split(`"title":"${title}"`).length - 1
  if (rows.length > answered) problems.push(`${name}: a smuggled write, ${seen.slice(0, 300)}`)
  if (/HTTP\/1\.1 50[0234]/.test(seen)) problems.push(`${name}: ${seen.slice(0, 60)}`)
  return problems
}

async function attackAll(port: number, target: string): Promise<string[]> {
  const problems: string[] = []
  const names = attacksWith('x').map(({ name }) => name)
  let next = 0
  const worker = async () => {
    for (let name = names[next]; name !== undefined; name = names[next]) {
      next += 1
      problems.push(...(await attack(port, name, `smuggled ${target} ${next}`)))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return problems
}

test('no attack on the framing smuggles a write or takes an answer from somebody else', async () => {
  expect(await attackAll(fixture.service.port, 'direct')).toEqual([])
})

describe.each(Object.keys(PROXIES) as ProxyName[])('%s', (name) => {
  describe.skipIf(!hasProxy(name))(`on its file in deploy (needs ${PROXIES[name].binary})`, () => {
    let proxy: Proxy

    beforeAll(async () => {
      proxy = await startProxy(name, fixture.service.port)
    })

    afterAll(() => proxy?.stop())

    test('no attack on the framing smuggles a write or takes an answer from somebody else', async () => {
      expect(await attackAll(proxy.port, name)).toEqual([])
    })

    test('a client of HTTP/1.0 is served', async () => {
      const text = await send(proxy.port, Buffer.from('GET /health HTTP/1.0\r\n\r\n'))
      expect(text).toMatch(/^HTTP\/1\.[01] 200 /)
      expect(text.endsWith('{"status":"ok"}')).toBe(true)
    })

    test('absolute-form is served', async () => {
      const connection = new RawConnection(proxy.port)
      connection.write(
        Buffer.from('GET http://service.example/health HTTP/1.1\r\nHost: service.example\r\n\r\n'),
      )
      expect(await connection.answer('GET', ANSWER_MS_MAX)).toMatchObject({ status: 200 })
      connection.destroy()
    })

    test('a client that sends a write and closes its side gets the answer', async () => {
      const connection = new RawConnection(proxy.port)
      connection.write(Buffer.from(hiddenWrite(attacker.token, 'half-closed')))
      connection.finish()
      expect(await connection.answer('POST', ANSWER_MS_MAX)).toMatchObject({ status: 201 })
      connection.destroy()
    })

    test('HEAD on connections that others share costs nobody an answer', async () => {
      const client = createClient(`http://127.0.0.1:${proxy.port}`)
      const options = { token: neighbour.token }
      const paths = ['/health', '/api/v1/tasks', `/api/v1/tasks/${neighbour.task}`, '/nope']
      const statuses = await Promise.all(
        Array.from({ length: MIXED_REQUESTS }, async (_, index) => {
          const path = paths[index % paths.length] ?? ''
          const method = index % 3 === 0 ? 'HEAD' : 'GET'
          return { path, status: (await client.request(method, path, options)).status }
        }),
      )
      const wrong = statuses.filter(({ path, status }) => status !== (path === '/nope' ? 404 : 200))
      expect(wrong).toEqual([])
    })
  })
})
