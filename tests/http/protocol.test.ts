import { once } from 'node:events'
import { connect } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Account, register, sendRaw } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const fixture = useService({
  MAX_BODY_BYTES: '4096',
  REQUEST_TIMEOUT_MS: '1500',
  LOG_REQUESTS: 'all',
})
let account: Account

beforeAll(async () => {
  account = await register(fixture.client)
})

function raw(head: string[], body = '') {
  return sendRaw(fixture.service.port, `${head.join('\r\n')}\r\n\r\n${body}`)
}

/** The answers in what a raw connection received. */
function answers(text: string): { status: number; head: string; body: string }[] {
  return text
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .filter((part) => part !== '')
    .map((part) => {
      const [head = '', body = ''] = part.split('\r\n\r\n')
      return { status: Number(head.slice(9, 12)), head, body }
    })
}

function post(options: object) {
  return fixture.client.request('POST', '/api/v1/tasks', { token: account.token, ...options })
}

describe('paths and methods', () => {
  test.each(['/', '/nope', '/api/v1', '/api/v1/tasks/a/b', '/api/v2/tasks', '/HEALTH'])(
    'an unknown path is 404 in JSON: %s',
    async (path) => {
      const { status, body, headers } = await fixture.client.get(path)
      expect(status).toBe(404)
      expect(body).toMatchObject({ code: 'not_found', request_id: headers.get('x-request-id') })
    },
  )

  test.each([
    ['PUT', '/api/v1/tasks', 'GET, HEAD, POST, OPTIONS'],
    ['DELETE', '/api/v1/tasks', 'GET, HEAD, POST, OPTIONS'],
    ['POST', '/api/v1/tasks/x', 'GET, HEAD, PATCH, DELETE, OPTIONS'],
    ['GET', '/api/v1/auth/login', 'POST, OPTIONS'],
    ['POST', '/health', 'GET, HEAD, OPTIONS'],
  ])('%s %s is 405 with Allow', async (method, path, allow) => {
    const { status, body, headers } = await fixture.client.request(method, path)
    expect(status).toBe(405)
    expect(headers.get('allow')).toBe(allow)
    expect(body.code).toBe('method_not_allowed')
  })

  test('HEAD answers like GET, without the body', async () => {
    const created = await post({ json: { title: 'x' } })
    for (const path of ['/health', '/ready', '/api/v1/tasks', `/api/v1/tasks/${created.body.id}`]) {
      const options = { token: account.token, headers: { 'accept-encoding': 'identity' } }
      const get = await fixture.client.get(path, options)
      const head = await fixture.client.request('HEAD', path, options)
      expect(head.status).toBe(200)
      expect(head.body).toBe('')
      expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'))
      expect(head.headers.get('content-type')).toBe('application/json')
    }
    expect((await fixture.client.request('HEAD', '/api/v1/tasks')).status).toBe(401)
  })

  test('HEAD sends no byte of a body on the wire', async () => {
    const text = await raw(['HEAD /health HTTP/1.1', 'Host: x', 'Connection: close'])
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(text.endsWith('\r\n\r\n')).toBe(true)
  })

  test('OPTIONS answers 204 with Allow', async () => {
    const { status, headers } = await fixture.client.request('OPTIONS', '/api/v1/tasks')
    expect(status).toBe(204)
    expect(headers.get('allow')).toBe('GET, HEAD, POST, OPTIONS')
    expect(headers.has('access-control-allow-methods')).toBe(false)
  })
})

describe('CORS', () => {
  const origin = 'https://app.example.com'

  test('any origin may call, and read the headers that matter', async () => {
    const { headers } = await fixture.client.get('/health', { headers: { origin } })
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('access-control-expose-headers')).toContain('X-Request-Id')
  })

  test('a preflight names methods and headers', async () => {
    const { status, headers } = await fixture.client.request('OPTIONS', '/api/v1/tasks', {
      headers: { origin, 'access-control-request-method': 'POST' },
    })
    expect(status).toBe(204)
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('access-control-allow-methods')).toContain('POST')
    expect(headers.get('access-control-allow-headers')).toContain('Authorization')
  })

  test('errors have its headers, too', async () => {
    const { status, headers } = await fixture.client.get('/nope', { headers: { origin } })
    expect(status).toBe(404)
    expect(headers.get('access-control-allow-origin')).toBe('*')
  })
})

describe('bodies', () => {
  const json = { 'content-type': 'application/json' }

  test.each([
    ['no type', {}],
    ['text', { 'content-type': 'text/plain' }],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['another charset', { 'content-type': 'application/json; charset=latin1' }],
    ['gzip', { ...json, 'content-encoding': 'gzip' }],
  ])('%s is 415', async (_, headers) => {
    const body = new TextEncoder().encode('{"title":"x"}')
    const answer = await post({ headers, body })
    expect(answer.status).toBe(415)
    expect(answer.body.code).toBe('unsupported_media_type')
  })

  test('the charset UTF-8 may be named', async () => {
    const headers = { 'content-type': 'application/json; charset=UTF-8' }
    expect((await post({ headers, body: '{"title":"x"}' })).status).toBe(201)
  })

  test.each([
    ['nothing', ''],
    ['half an object', '{"title":'],
    ['an array', '[]'],
    ['a string', '"title"'],
    ['null', 'null'],
    ['deep nesting', `${'['.repeat(2000)}${']'.repeat(2000)}`],
  ])('%s is 400', async (_, body) => {
    const answer = await post({ headers: json, body })
    expect(answer.status).toBe(400)
    expect(answer.body.code).toBe('invalid_request')
  })

  test.each([
    ['a stray byte', [0xff]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['half a character', [0xf0, 0x9f]],
  ])('invalid UTF-8 is 400: %s', async (_, bytes) => {
    const body = Buffer.concat([Buffer.from('{"title":"'), Buffer.from(bytes), Buffer.from('"}')])
    const answer = await post({ headers: json, body })
    expect(answer.status).toBe(400)
    expect(answer.body.error).toContain('UTF-8')
  })

  test('one byte over the limit is 413 and the connection stays open', async () => {
    const fits = JSON.stringify({ title: 'x', description: null }).padEnd(4096)
    expect((await post({ headers: json, body: fits })).status).toBe(201)
    const answer = await post({ headers: json, body: `${fits} ` })
    expect(answer.status).toBe(413)
    expect(answer.body.code).toBe('payload_too_large')
    expect(answer.headers.get('connection')).not.toBe('close')
  })

  test('a body far over the limit is 413 at once and the connection closes', async () => {
    const text = await raw([
      'POST /api/v1/tasks HTTP/1.1',
      'Host: x',
      `Authorization: Bearer ${account.token}`,
      'Content-Type: application/json',
      'Content-Length: 999999999999',
    ])
    expect(text).toMatch(/^HTTP\/1\.1 413 /)
    expect(text.toLowerCase()).toContain('connection: close')
  })

  test('a body in many pieces arrives whole', async () => {
    const body = JSON.stringify({ title: 'in pieces', description: 'é'.repeat(500) })
    const bytes = Buffer.from(body)
    const socket = connect(fixture.service.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.setNoDelay(true)
    socket.write(
      `POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    )
    for (let at = 0; at < bytes.length; at += 97) {
      socket.write(bytes.subarray(at, at + 97))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const [data] = await once(socket, 'data')
    socket.destroy()
    expect(String(data)).toMatch(/^HTTP\/1\.1 201 /)
    expect(String(data)).toContain('in pieces')
  })

  test('a body that stops half-way is 408 and the connection closes', async () => {
    const text = await sendRaw(
      fixture.service.port,
      `POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"title":',
      5000,
    )
    expect(text).toMatch(/^HTTP\/1\.1 408 /)
    expect(text.toLowerCase()).toContain('connection: close')
  })

  test('the body of a client without a token is never read', async () => {
    const { status } = await fixture.client.request('POST', '/api/v1/tasks', {
      headers: json,
      body: '{"title":"x"}',
    })
    expect(status).toBe(401)
    expect((await fixture.client.get('/health')).status).toBe(200)
  })
})

describe('framing', () => {
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'

  test('chunks are taken, and the connection closes', async () => {
    const text = await raw(
      [
        'POST /api/v1/tasks HTTP/1.1',
        'Host: x',
        `Authorization: Bearer ${account.token}`,
        'Content-Type: application/json',
        'Transfer-Encoding: chunked',
      ],
      'd\r\n{"title":"x"}\r\n0\r\n\r\n',
    )
    expect(answers(text)).toHaveLength(1)
    expect(answers(text)[0]).toMatchObject({ status: 201 })
    expect(text.toLowerCase()).toContain('connection: close')
  })

  test('two lengths are never taken for two requests', async () => {
    for (const route of ['POST /api/v1/auth/login', 'GET /health', 'GET /nope', 'PUT /health']) {
      const head = [`${route} HTTP/1.1`, 'Host: x', 'Content-Type: application/json']
      const text = await raw(
        [...head, 'Content-Length: 2', `Content-Length: ${2 + smuggled.length}`],
        `{}${smuggled}`,
      )
      expect(text).not.toContain('404')
      expect(answers(text).length).toBeLessThanOrEqual(1)
      const alone = await raw([...head, 'Content-Length: 2', 'Content-Length: 3'], '{}')
      for (const { status } of answers(alone)) expect(status).toBe(400)
    }
  })

  test('the service survives garbage', async () => {
    for (const text of [
      '\r\n\r\n\r\n',
      'GET',
      'GET / HTTP/9.9\r\n\r\n',
      '\0\0\0\0',
      'x'.repeat(9000),
    ]) {
      await sendRaw(fixture.service.port, text, 100)
    }
    expect((await fixture.client.get('/health')).status).toBe(200)
  })

  test('requests one after the other on one connection are all answered', async () => {
    const socket = connect(fixture.service.port, '127.0.0.1')
    for (let round = 0; round < 5; round += 1) {
      socket.write(
        `GET /api/v1/tasks?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${account.token}\r\n\r\n`,
      )
      const [data] = await once(socket, 'data')
      expect(String(data)).toMatch(/^HTTP\/1\.1 200 /)
    }
    socket.destroy()
  })

  test('a head over the limit is 431 in JSON', async () => {
    const { status, body } = await fixture.client.get('/health', {
      headers: { cookie: 'x'.repeat(16_000), 'x-other': 'y'.repeat(1000) },
    })
    expect(status).toBe(431)
    expect(body.code).toBe('headers_too_large')
    const fits = await fixture.client.get('/health', { headers: { cookie: 'x'.repeat(15_000) } })
    expect(fits.status).toBe(200)
  })
})

describe('request ids', () => {
  test("the client's id is kept in header, error and log", async () => {
    const { service, client } = fixture
    const id = 'req:01/a.b-c_d+f='
    const { headers, body } = await client.get('/nope', { headers: { 'x-request-id': id } })
    expect(headers.get('x-request-id')).toBe(id)
    expect(body.request_id).toBe(id)
    const line = await service.line(({ request_id }) => request_id === id)
    expect(line).toMatchObject({ method: 'GET', status: 404, level: 'info' })
  })

  test.each([['with a space'], ['<script>'], ['x'.repeat(129)], ['quote"'], ['ada@example.com']])(
    'an id of other characters is replaced: %s',
    async (id) => {
      const { headers } = await fixture.client.get('/health', { headers: { 'x-request-id': id } })
      expect(headers.get('x-request-id')).toMatch(/^[\w-]{8}-[0-9a-z]+$/)
    },
  )

  test('new ids are never the same', async () => {
    const ids = await Promise.all(
      Array.from({ length: 50 }, async () =>
        (await fixture.client.get('/health')).headers.get('x-request-id'),
      ),
    )
    expect(new Set(ids).size).toBe(50)
  })

  test('a line is logged for each request', async () => {
    const { service, client } = fixture
    const { headers } = await client.get('/api/v1/tasks', { token: account.token })
    const id = headers.get('x-request-id')
    const line = await service.line(({ request_id }) => request_id === id)
    expect(line).toMatchObject({
      method: 'GET',
      route: '/api/v1/tasks',
      status: 200,
      msg: 'Request',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    expect(line.duration_ms).toBeGreaterThan(0)
  })
})

describe('compression', () => {
  beforeAll(async () => {
    await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        post({ json: { title: `task ${index}`, description: 'words '.repeat(50) } }),
      ),
    )
  })

  async function list(acceptEncoding: string) {
    const text = await raw([
      'GET /api/v1/tasks HTTP/1.1',
      'Host: x',
      `Authorization: Bearer ${account.token}`,
      `Accept-Encoding: ${acceptEncoding}`,
      'Connection: close',
    ])
    const at = text.indexOf('\r\n\r\n')
    return {
      head: text.slice(0, at).toLowerCase(),
      body: Buffer.from(text.slice(at + 4), 'latin1'),
    }
  }

  test.each(['gzip', 'br, gzip', 'gzip;q=0.5, br', 'deflate, GZIP ; q=1.0'])(
    'a large answer is compressed for: %s',
    async (accepted) => {
      const { head, body } = await list(accepted)
      expect(head).toContain('content-encoding: gzip')
      expect(head).toContain('vary: accept-encoding')
      const tasks = JSON.parse(gunzipSync(body).toString())
      expect(tasks.length).toBeGreaterThanOrEqual(10)
    },
  )

  test.each(['identity', 'br', 'gzip;q=0', 'gzip; q=0.000, br', 'xgzip'])(
    'it is not compressed for: %s',
    async (accepted) => {
      const { head, body } = await list(accepted)
      expect(head).not.toContain('content-encoding')
      expect(head).toContain('vary: accept-encoding')
      expect(JSON.parse(body.toString()).length).toBeGreaterThanOrEqual(10)
    },
  )

  test('a small answer is not compressed', async () => {
    const { headers } = await fixture.client.get('/health', {
      headers: { 'accept-encoding': 'gzip' },
    })
    expect(headers.has('content-encoding')).toBe(false)
  })
})

test('a client that leaves in the middle leaves nothing behind', async () => {
  const { service, client } = fixture
  for (let round = 0; round < 20; round += 1) {
    const socket = connect(service.port, '127.0.0.1')
    socket.on('error', () => undefined)
    const body = JSON.stringify({ email: 'gone@example.com', password: 'not the password' })
    socket.write(
      `POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${round % 2 === 0 ? body : body.slice(0, 9)}`,
    )
    await new Promise((resolve) => setTimeout(resolve, 5))
    socket.destroy()
  }
  expect((await client.get('/health')).status).toBe(200)
  await service.line(({ aborted }) => aborted === true)
})
