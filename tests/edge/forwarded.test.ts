// Who the client is behind the proxies of `deploy`, by what is counted for each client: wrong passwords.
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'
import { hasProxy, PROXIES, type Proxy, type ProxyName, startProxy } from './proxy-server.ts'

/** Failures of one client with one account until it is refused. */
const FAILURES_MAX = 10
const GUESSER = '127.0.0.41'
const NEIGHBOUR = '127.0.0.42'

// The proxies and the guesser's own connections all come from this machine: only the proxies' address is believed.
const fixture = useService({ TRUSTED_PROXIES: '127.0.0.1', PASSWORD_QUEUE: '100' })

/** The status of a login with a wrong password, from an address that says that it is another one each time. */
function guess(port: number, email: string, from: string): Promise<number> {
  const text = JSON.stringify({ email, password: 'a wrong guess of somebody' })
  const claimed = `203.0.113.${Math.floor(Math.random() * 256)}`
  const headers = {
    'content-type': 'application/json',
    'content-length': text.length,
    'x-forwarded-for': claimed,
    forwarded: `for=${claimed}`,
  }
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', localAddress: from, agent: false, headers }
    request(`http://127.0.0.1:${port}/api/v1/auth/login`, options, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
      .once('error', reject)
      .end(text)
  })
}

async function guessOften(port: number, email: string, from: string): Promise<number[]> {
  const statuses: number[] = []
  for (let count = 0; count < FAILURES_MAX; count += 1) {
    statuses.push(await guess(port, email, from))
  }
  return statuses
}

test('without a proxy, what a client says of its address is not believed', async () => {
  const { port } = fixture.service
  const { email } = await register(fixture.client)
  expect(new Set(await guessOften(port, email, GUESSER))).toEqual(new Set([401]))
  expect(await guess(port, email, GUESSER)).toBe(429)
  expect(await guess(port, email, NEIGHBOUR)).toBe(401)
})

describe.each(Object.keys(PROXIES) as ProxyName[])('%s', (name) => {
  describe.skipIf(!hasProxy(name))(`on its file in deploy (needs ${PROXIES[name].binary})`, () => {
    let proxy: Proxy

    beforeAll(async () => {
      proxy = await startProxy(name, fixture.service.port)
    })

    afterAll(() => proxy?.stop())

    test('clients are told apart by the address that the proxy saw, whatever they say', async () => {
      const { email } = await register(fixture.client)
      expect(new Set(await guessOften(proxy.port, email, GUESSER))).toEqual(new Set([401]))
      expect(await guess(proxy.port, email, GUESSER)).toBe(429)
      expect(await guess(proxy.port, email, NEIGHBOUR)).toBe(401)
    })

    test('the log names the address that the proxy saw', async () => {
      const { email, id } = await register(fixture.client)
      expect(await guess(proxy.port, email, GUESSER)).toBe(401)
      const lines = fixture.service.lines.filter(({ user_id }) => user_id === id)
      expect(lines.map(({ event, client }) => ({ event, client }))).toContainEqual({
        event: 'login_failed',
        client: GUESSER,
      })
    })
  })
})
