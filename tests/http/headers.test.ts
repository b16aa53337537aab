// The headers of answers: what caches, browsers, proxies and kept connections read.
import { beforeAll, describe, expect, test } from 'vitest'
import { type Account, type Answer, register, sendRaw } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const ORIGIN = 'https://app.example.com'
const ID = '01a2024a-fc86-7056-b801-9e780d49bebb'
const fixture = useService()
const listed = useService({ CORS_ORIGINS: ORIGIN, CORS_HEADERS: 'Authorization, X-Own' })
let owner: Account

beforeAll(async () => {
  owner = await register(fixture.client)
})

function preflight(of: typeof fixture, origin: string, requested: string): Promise<Answer> {
  const headers = {
    origin,
    'access-control-request-method': 'PATCH',
    'access-control-request-headers': requested,
  }
  return of.client.request('OPTIONS', `/api/v1/tasks/${ID}`, { headers })
}

/** Whether a browser sends the request, by the CORS-preflight fetch of the Fetch standard, without credentials mode. */
function permits({ status, headers }: Answer, origin: string, requested: string): boolean {
  const names = list(headers, 'access-control-allow-headers')
  const allowed = [origin, '*'].includes(headers.get('access-control-allow-origin') ?? '')
  const methods = headers.get('access-control-allow-methods')?.split(', ') ?? []
  const covered = requested
    .split(',')
    .every((name) => names.includes(name) || (names.includes('*') && name !== 'authorization'))
  return status === 204 && allowed && methods.includes('PATCH') && covered
}

function list(headers: Headers, name: string): string[] {
  return (headers.get(name) ?? '').toLowerCase().split(', ')
}

describe('a preflight', () => {
  test.each([
    'authorization',
    'authorization,content-type',
    'baggage,sentry-trace,traceparent,tracestate',
    'idempotency-key,if-match,if-none-match',
    'x-anything-else',
    `x-${'long'.repeat(500)}`,
  ])('may ask for any header while any origin may call: %s', async (requested) => {
    expect(permits(await preflight(fixture, ORIGIN, requested), ORIGIN, requested)).toBe(true)
  })

  test('names the usual headers, too, for browsers that do not know the wildcard', async () => {
    const { headers } = await preflight(fixture, ORIGIN, 'authorization')
    const names = ['traceparent', 'baggage', 'sentry-trace', 'idempotency-key', 'if-match']
    expect(list(headers, 'access-control-allow-headers')).toEqual(expect.arrayContaining(names))
  })

  test('may ask for the headers of the list when origins are listed', async () => {
    const answer = await preflight(listed, ORIGIN, 'authorization,x-own')
    expect(permits(answer, ORIGIN, 'authorization,x-own')).toBe(true)
    expect(permits(answer, ORIGIN, 'content-type')).toBe(false)
    const stranger = 'https://evil.example'
    expect(permits(await preflight(listed, stranger, 'x-own'), stranger, 'x-own')).toBe(false)
  })

  test('says for how long it may be remembered, and what it varies with', async () => {
    const { headers } = await preflight(fixture, ORIGIN, 'x-a')
    expect(headers.get('access-control-max-age')).toBe('7200')
    const vary = ['origin', 'access-control-request-method', 'access-control-request-headers']
    expect(list(headers, 'vary').sort()).toEqual(vary.sort())
  })

  test('does not get back what it sends', async () => {
    const { headers } = await preflight(fixture, ORIGIN, 'x-echoed')
    expect([...headers].join(' ')).not.toContain('x-echoed')
  })
})

test('browsers may read the headers that clients act upon', async () => {
  const { headers } = await fixture.client.get('/health', { headers: { origin: ORIGIN } })
  const names = ['location', 'link', 'retry-after', 'ratelimit', 'ratelimit-policy', 'x-request-id']
  expect(list(headers, 'access-control-expose-headers')).toEqual(expect.arrayContaining(names))
})

test('an answer says that it depends on the origin, whether one was named or not', async () => {
  for (const { client } of [fixture, listed]) {
    for (const headers of [{}, { origin: ORIGIN }, { origin: 'https://evil.example' }]) {
      expect(list((await client.get('/health', { headers })).headers, 'vary')).toContain('origin')
    }
  }
})

describe('every answer', () => {
  const requests: [string, string, string | undefined, boolean][] = [
    // method, path, body, whether caches must keep out
    ['GET', '/health', undefined, false],
    ['GET', '/openapi.json', undefined, false],
    ['OPTIONS', '/api/v1/tasks', undefined, false],
    ['GET', '/api/v1/tasks/', undefined, false],
    ['GET', '/nope', undefined, true],
    ['PUT', '/health', undefined, true],
    ['GET', '/api/v1/tasks', undefined, true],
    ['HEAD', '/api/v1/tasks', undefined, true],
    ['POST', '/api/v1/tasks', '{"title":"x"}', true],
    ['POST', '/api/v1/tasks', '{}', true],
    ['GET', `/api/v1/tasks/${ID}`, undefined, true],
    ['DELETE', `/api/v1/tasks/${ID}`, undefined, true],
    ['POST', '/api/v1/auth/login', '{"email":"a@example.com","password":"wrong"}', true],
  ]

  test.each(requests)('%s %s %s', async (method, path, body, isPrivate) => {
    const head = `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`
    const auth = `Authorization: Bearer ${owner.token}\r\nContent-Type: application/json\r\n`
    const length = body === undefined ? '' : `Content-Length: ${body.length}\r\n`
    const { port } = fixture.service
    const text = await sendRaw(port, `${head}${auth}${length}\r\n${body ?? ''}`, 1500)
    const lines = (text.split('\r\n\r\n')[0] ?? '').toLowerCase().split('\r\n')
    expect(lines).toContain('x-content-type-options: nosniff')
    expect(lines.includes('cache-control: no-store')).toBe(isPrivate)
    const names = lines.slice(1).map((line) => line.split(':')[0])
    const once = names.filter((name) => name !== 'vary')
    expect(new Set(once).size).toBe(once.length)
  })

  test('is kept out of caches when its task is read, changed or deleted', async () => {
    const { body } = await fixture.client.post('/api/v1/tasks', { title: 'x' }, owner)
    const path = `/api/v1/tasks/${body.id}`
    const answers = [
      await fixture.client.get(path, owner),
      await fixture.client.patch(path, { status: 'done' }, owner),
      await fixture.client.delete(path, owner),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 204])
    for (const { headers } of answers) expect(headers.get('cache-control')).toBe('no-store')
  })
})

describe('a kept connection', () => {
  test.each(['keep-alive', 'Keep-Alive'])(
    'is closed by the client first, when it asks for the time: %s',
    async (connection) => {
      const { port } = fixture.service
      const text = await sendRaw(
        port,
        `GET /health HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\n\r\n`,
      )
      // uWebSockets.js closes idle connections after 8 seconds at the earliest.
      const seconds = Number(/\r\nkeep-alive: timeout=(\d+)\r\n/.exec(text)?.[1])
      expect(seconds).toBeGreaterThan(0)
      expect(seconds).toBeLessThan(8)
    },
  )

  test('costs no line for clients that do not ask', async () => {
    const { port } = fixture.service
    const text = await sendRaw(port, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(text).not.toContain('keep-alive')
  })
})

describe('links', () => {
  test.each(['', '/prefix', '/a/b/c'])('lead to their target below "%s"', async (prefix) => {
    const page = new URL(`http://proxy.example${prefix}/api/v1/tasks`)
    const created = await fixture.client.post('/api/v1/tasks', { title: 'x' }, owner)
    const location = new URL(created.headers.get('location') ?? '', page)
    expect(location.href).toBe(`${page.href}/${created.body.id}`)
    const pageOne = await fixture.client.get('/api/v1/tasks?limit=1&status=todo', owner)
    const target = /^<([^>]+)>; rel="next"$/.exec(pageOne.headers.get('link') ?? '')?.[1] ?? ''
    const next = new URL(target, `${page.href}?limit=1&status=todo`)
    expect(next.href.startsWith(`${page.href}?limit=1&status=todo&cursor=`)).toBe(true)
  })
})

describe('a slash at the end', () => {
  async function send(method: string, path: string, extra = ''): Promise<string> {
    const { port } = fixture.service
    return sendRaw(
      port,
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${extra}\r\n`,
    )
  }

  test.each(['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS'])(
    'is redirected for %s, with the query and the lines for browsers',
    async (method) => {
      const text = await send(method, '/api/v1/tasks/?limit=1&status=todo', `Origin: ${ORIGIN}\r\n`)
      expect(text).toMatch(/^HTTP\/1\.1 308 Permanent Redirect\r\n/)
      expect(text).toContain('\r\nlocation: ../tasks?limit=1&status=todo\r\n')
      expect(text).toContain('\r\naccess-control-allow-origin: *\r\n')
    },
  )

  test.each([
    ['/health/', '/health'],
    ['/openapi.json/?', '/openapi.json'],
    ['/api/v1/auth/login/', '/api/v1/auth/login'],
    [`/api/v1/tasks/${ID}/?a=%2F%2F`, `/api/v1/tasks/${ID}?a=%2F%2F`],
  ])('of %s leads to %s, below a prefix, too', async (path, target) => {
    const location = /\r\nlocation: (.*)\r\n/.exec(await send('GET', path))?.[1] ?? ''
    for (const prefix of ['', '/prefix']) {
      const base = `http://proxy.example${prefix}`
      expect(new URL(location, base + path).href).toBe(base + target)
    }
  })

  test('is followed by clients with their method and body', async () => {
    const { status, body } = await fixture.client.post('/api/v1/tasks/', { title: 'x' }, owner)
    expect(status).toBe(201)
    expect(body.title).toBe('x')
  })

  test.each([
    '//evil.example/',
    '//',
    '/',
    '/nope/',
    '/api/v1/tasks//',
    '/api/v1/tasks//evil.example/',
    '/api/v1/tasks/%0d%0ax/x/',
    '/api/v1/tasks/a:b/',
    '/api/v1/tasks/\\evil.example/',
    '/api/v1/tasks/a;b/',
    `/api/v1/tasks/${ID}//`,
  ])('of any other path is 404: %s', async (path) => {
    const text = await send('GET', path)
    expect(text).toMatch(/^HTTP\/1\.1 404 /)
    expect(text).not.toContain('location:')
  })

  test('gets the answer of the path when it is a preflight', async () => {
    const { status } = await fixture.client.request('OPTIONS', '/api/v1/tasks/', {
      headers: { origin: ORIGIN, 'access-control-request-method': 'POST' },
    })
    expect(status).toBe(204)
  })
})
