// What the proxies of `deploy` send to a node, seen by a node that writes it down.
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createClient } from '../support/client.ts'
import { hasProxy, PROXIES, type Proxy, type ProxyName, startProxy } from './proxy-server.ts'

/** The node hangs up on requests to this path, as one that crashes does. */
const BROKEN = '/broken'

describe.each(Object.keys(PROXIES) as ProxyName[])('%s', (name) => {
  describe.skipIf(!hasProxy(name))(`on its file in deploy (needs ${PROXIES[name].binary})`, () => {
    let node: Server
    let proxy: Proxy
    let seen: IncomingMessage[] = []

    beforeAll(async () => {
      node = createServer((request, response) => {
        if (request.url !== '/ready') seen.push(request)
        if (request.url === BROKEN) request.socket.destroy()
        else response.end('{}')
      })
      await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve))
      proxy = await startProxy(name, (node.address() as AddressInfo).port)
    })

    beforeEach(() => {
      seen = []
    })

    afterAll(async () => {
      await proxy?.stop()
      node?.close()
      node?.closeAllConnections()
    })

    const send = (method: string, path: string, headers: Record<string, string> = {}) =>
      createClient(`http://127.0.0.1:${proxy.port}`).request(method, path, { headers })

    test("the client's address replaces whatever the client wrote", async () => {
      const forged = { 'x-forwarded-for': '10.0.0.1', forwarded: 'for=10.0.0.1' }
      expect((await send('GET', '/', forged)).status).toBe(200)
      expect(seen[0]?.headers['x-forwarded-for']).toBe('127.0.0.1')
      expect(seen[0]?.headers.forwarded ?? '').toBe('')
      expect(seen[0]?.httpVersion).toBe('1.1')
    })

    test('connections are kept', async () => {
      for (let index = 0; index < 10; index += 1) await send('GET', '/')
      expect(new Set(seen.map(({ socket }) => socket)).size).toBeLessThan(5)
    })

    test.each(['POST', 'PATCH'])('%s is sent once, whatever becomes of it', async (method) => {
      // On a connection that was used before, HAProxy hangs up instead of answering 502.
      const status = await send(method, BROKEN).then(
        (answer) => answer.status,
        () => 'hung up',
      )
      expect([502, 'hung up']).toContain(status)
      expect(seen.length).toBe(1)
    })
  })
})
