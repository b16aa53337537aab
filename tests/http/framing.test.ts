// Where a request ends: bodies with a length and in chunks, refusals, and what is hidden behind a request.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/client.ts'
import {
  BODY_BYTES_MAX,
  type Edge,
  openWire,
  readAnswers,
  startEdge,
  type WireAnswer,
} from '../support/edge.ts'

const QUIET_MS = 100
const JSON_BODY = '{"title":"first"}'
const HIDDEN = 'DELETE /notes/hidden HTTP/1.1\r\nHost: x\r\n\r\n'

let edge: Edge

beforeEach(async () => {
  edge = await startEdge()
})

afterEach(() => edge.close())

function head(method: string, path: string, lines: readonly string[]): string {
  return `${[`${method} ${path} HTTP/1.1`, 'Host: x', ...lines].join('\r\n')}\r\n\r\n`
}

const POST = ['Authorization: Bearer me', 'Content-Type: application/json']

function post(...lines: string[]): string {
  return head('POST', '/notes', [...POST, ...lines])
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`
}

function cut(text: string): string[] {
  return text.match(/[^]{1,30}/g) ?? []
}

/** Sends the pieces one after the other; resolves with what has come back once nothing more comes. */
async function exchange(pieces: readonly string[]): Promise<{ text: string; closed: boolean }> {
  const wire = await openWire(edge.port)
  for (const piece of pieces) {
    if (!wire.isClosed()) wire.send(piece)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await eventually('an answer or the end', () => wire.isClosed() || wire.received() !== '')
  await Promise.race([wire.closed, new Promise((resolve) => setTimeout(resolve, QUIET_MS))])
  const result = { text: wire.received(), closed: wire.isClosed() }
  wire.socket.destroy()
  return result
}

/** The one answer to the pieces. */
async function answerTo(...pieces: string[]): Promise<WireAnswer> {
  const { text } = await exchange(pieces)
  const answers = readAnswers(text, ['POST'])
  expect(answers).toHaveLength(1)
  return answers[0] as WireAnswer
}

describe('a body in chunks', () => {
  test.each([
    [BODY_BYTES_MAX, 413],
    [8192, 400],
  ])(
    'of %i bytes at most is refused in crumbs with %i, and so are the next chunks of that client',
    async (bytesMax, status) => {
      edge.close()
      edge = await startEdge(bytesMax)
      const crumbs = chunk(' ').repeat(2049)
      const first = await answerTo(`${post('Transfer-Encoding: chunked')}${crumbs}`)
      expect(first.status).toBe(status)
      const whole = `${post('Transfer-Encoding: chunked')}${chunk(JSON_BODY)}0\r\n\r\n`
      const next = await answerTo(whole)
      expect(next.status).toBe(429)
      expect(next.headers.get('retry-after')).toBe('1')
      const plain = post(`Content-Length: ${JSON_BODY.length}`) + JSON_BODY
      expect((await answerTo(plain)).status).toBe(201)
    },
  )

  test('is taken, and its connection ends with the answer', async () => {
    const whole = post('Transfer-Encoding: chunked') + chunk(JSON_BODY)
    const { text, closed } = await exchange([`${whole}0\r\n\r\n`])
    expect(readAnswers(text, ['POST'])).toMatchObject([{ status: 201, body: `${JSON_BODY}\r\n` }])
    expect(text).toMatch(/^connection: close\r$/im)
    expect(closed).toBe(true)
    expect(edge.state.writes).toEqual(['first'])
  })

  test('is taken whatever its pieces are', async () => {
    const text = post('transfer-encoding: Chunked') + JSON_BODY.split('').map(chunk).join('')
    const pieces = cut(`${text}0\r\n\r\n`)
    expect(await answerTo(...pieces)).toMatchObject({ status: 201 })
  })

  test('over the limit is 413, which its client sees although it goes on sending', async () => {
    const wire = await openWire(edge.port)
    wire.send(post('Transfer-Encoding: chunked'))
    for (let sent = 0; sent < 8 * BODY_BYTES_MAX; sent += 256) {
      wire.send(chunk('x'.repeat(256)))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(readAnswers(wire.received(), ['POST'])).toMatchObject([{ status: 413 }])
    expect(wire.isClosed()).toBe(false)
    wire.send('0\r\n\r\n')
    await wire.closed
    expect(wire.error()).toBe(undefined)
    expect(edge.state.writes).toEqual([])
    expect(edge.host.heldBytes.hasRoom(32 * 1024 * 1024)).toBe(true)
  })

  test('that never ends is dropped up to a limit only', async () => {
    const wire = await openWire(edge.port)
    wire.send(post('Transfer-Encoding: chunked'))
    let sent = 0
    for (; !wire.isClosed() && sent < 200 * BODY_BYTES_MAX; sent += 512) {
      wire.send(chunk('x'.repeat(512)))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(wire.received()).toMatch(/^HTTP\/1\.1 413 /)
    expect(sent).toBeLessThan(40 * BODY_BYTES_MAX)
  })

  test('does nothing when something is behind it', async () => {
    const whole = `${post('Transfer-Encoding: chunked') + chunk(JSON_BODY)}0\r\n`
    for (const behind of [`\r\n${HIDDEN}`, 'A: b\r\n\r\n']) {
      const { closed } = await exchange([whole + behind])
      expect(closed).toBe(true)
    }
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
    expect(edge.state.writes).toEqual([])
  })

  test('that stops is 408', async () => {
    const wire = await openWire(edge.port)
    wire.send(post('Transfer-Encoding: chunked') + chunk('{"title"'))
    await wire.closed
    expect(readAnswers(wire.received(), ['POST'])).toMatchObject([{ status: 408 }])
  })

  test.each([
    ['without a caller', 'POST', '/notes', ['Content-Type: application/json'], 401],
    ['of another type', 'POST', '/notes', [POST[0], 'Content-Type: text/plain'], 415],
    ['on an unknown path', 'POST', '/nowhere', [], 404],
    ['with another method', 'PUT', '/text', [], 405],
  ])('%s is refused, and what it hides is not served', async (_, method, path, lines, status) => {
    const start = head(method, path, [...(lines as string[]), 'Transfer-Encoding: chunked'])
    const whole = `${start}${chunk(JSON_BODY)}0\r\n\r\n`
    expect(await answerTo(whole)).toMatchObject({ status })
    await exchange([whole + HIDDEN])
    await exchange([whole, HIDDEN])
    expect(edge.state.writes).toEqual([])
  })
})

describe('what is hidden behind a request is never served', () => {
  const chunked = `${post('Transfer-Encoding: chunked') + chunk(JSON_BODY)}0\r\n\r\n`
  const invalid = `${post('Transfer-Encoding: chunked') + chunk('{}')}0\r\n\r\n`
  const fixed = (...lines: string[]) => post(`Content-Length: ${JSON_BODY.length}`, ...lines)

  test.each([
    ['a body in chunks', chunked],
    ['a body in chunks that is not valid', invalid],
    ['two lengths', `${fixed(`Content-Length: ${JSON_BODY.length + HIDDEN.length}`)}${JSON_BODY}`],
    ['an empty length', post('Content-Length:')],
    ['an empty length of a GET', head('GET', '/text', ['Content-Length: '])],
    ['both framings', `${fixed('Transfer-Encoding: chunked')}0\r\n\r\n`],
    ['both framings, one of them empty', `${fixed('Transfer-Encoding:')}${JSON_BODY}`],
    ['an unknown transfer encoding', `${post('Transfer-Encoding: gzip')}0\r\n\r\n`],
    [
      'two transfer encodings',
      `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: x')}0\r\n\r\n`,
    ],
    ['Connection: close', head('GET', '/text', ['Connection: close'])],
    ['Connection: close, later', head('GET', '/later', ['Connection: Close'])],
    ['Connection: close in a list', head('GET', '/text', ['Connection: TE, close'])],
    ['Connection: close, done at once', head('DELETE', '/notes/1', ['Connection: close'])],
    ['Connection: close of a HEAD', head('HEAD', '/text', ['Connection: close'])],
    ['a body that nothing announces', head('POST', '/notes', POST)],
    [
      'a header without a name',
      head('POST', '/notes', [...POST, ': x', `Content-Length: ${HIDDEN.length}`]),
    ],
    [
      'a header without a name on another path',
      head('POST', '/text', [': x', `Content-Length: ${HIDDEN.length}`]),
    ],
    ['space before a colon', head('GET', '/text', [`Content-Length : ${HIDDEN.length}`])],
  ])('%s', async (_, request) => {
    const together = await exchange([request + HIDDEN])
    const apart = await exchange([request, HIDDEN])
    const inPieces = await exchange(cut(request + HIDDEN))
    for (const { text, closed } of [together, apart, inPieces]) {
      expect(text.match(/HTTP\/1\.1 \d/g)?.length ?? 0).toBeLessThanOrEqual(1)
      // A connection that could still be smuggled through lingers, and ends with whatever else is sent.
      if (!closed) expect(text.toLowerCase()).toContain('connection: close')
    }
    expect(edge.state.writes.filter((written) => written.includes('hidden'))).toEqual([])
  })

  test('the connection of a refused framing ends soon, whatever its client does', async () => {
    const wire = await openWire(edge.port)
    wire.send(post('Content-Length: 2', 'Content-Length: 3'))
    await wire.closed
    expect(readAnswers(wire.received(), ['POST'])).toMatchObject([{ status: 400 }])
    expect(edge.host.lingering.size).toBe(0)
  })

  test('while the listener closes', async () => {
    edge.lifecycle.moveTo('closing')
    const { text, closed } = await exchange([head('GET', '/text', []) + HIDDEN])
    expect(text.match(/HTTP\/1\.1 \d/g)?.length ?? 0).toBeLessThanOrEqual(1)
    expect(closed).toBe(true)
    expect(edge.state.writes).toEqual([])
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const last = await exchange([head(method, '/text', [])])
      expect(last.closed).toBe(true)
      expect(readAnswers(last.text, [method])).toHaveLength(1)
      expect(last.text).toMatch(/^connection: close\r$/im)
    }
  })
})

describe('a refusal is seen', () => {
  test('by a client that sends far more than it may', async () => {
    const wire = await openWire(edge.port)
    wire.send(post('Content-Length: 999999999'))
    for (let sent = 0; sent < 12 * BODY_BYTES_MAX; sent += 512) {
      wire.send('x'.repeat(512))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(readAnswers(wire.received(), ['POST'])).toMatchObject([{ status: 413 }])
    expect(wire.received()).toMatch(/^connection: close\r$/im)
    expect(wire.error()).toBe(undefined)
    expect(wire.isClosed()).toBe(false)
    await wire.closed
  })

  test('by a client without a token that sends its body all the same, and the connection stays', async () => {
    const body = 'x'.repeat(4 * BODY_BYTES_MAX)
    const refused = head('POST', '/notes', [`Content-Length: ${body.length}`])
    const { text, closed } = await exchange([refused, body, head('GET', '/text', [])])
    const answers = readAnswers(text, ['POST', 'GET'])
    expect(answers.map(({ status }) => status)).toEqual([401, 200])
    expect(closed).toBe(false)
  })
})

describe('Expect: 100-continue', () => {
  test.each(['100-continue', '100-Continue', '100-CONTINUE'])(
    '%s is answered, and then the request',
    async (value) => {
      const wire = await openWire(edge.port)
      wire.send(post(`Expect: ${value}`, `Content-Length: ${JSON_BODY.length}`))
      await eventually(
        'the interim answer',
        () => wire.received() === 'HTTP/1.1 100 Continue\r\n\r\n',
      )
      wire.send(JSON_BODY)
      await eventually('the answer', () => wire.received().endsWith(JSON_BODY))
      expect(readAnswers(wire.received(), ['POST'])).toMatchObject([{ status: 201 }])
      // The connection serves the next request, too.
      wire.send(head('GET', '/text', []))
      await eventually('the next answer', () => wire.received().endsWith('"text"'))
      expect(readAnswers(wire.received(), ['POST', 'GET'])).toHaveLength(2)
      wire.socket.destroy()
    },
  )

  test('is refused at once where the body is not wanted, and the connection ends', async () => {
    const wire = await openWire(edge.port)
    wire.send(head('POST', '/notes', ['Expect: 100-Continue', 'Content-Length: 100']))
    await wire.closed
    expect(readAnswers(wire.received(), ['POST'])).toMatchObject([{ status: 401 }])
    expect(wire.received()).toMatch(/^connection: close\r$/im)
  })

  test('works with chunks', async () => {
    const wire = await openWire(edge.port)
    wire.send(post('Expect: 100-Continue', 'Transfer-Encoding: chunked'))
    await eventually('the interim answer', () => wire.received().includes('100 Continue'))
    wire.send(`${chunk(JSON_BODY)}0\r\n\r\n`)
    await wire.closed
    expect(readAnswers(wire.received(), ['POST'])).toMatchObject([{ status: 201 }])
  })
})

describe('the body', () => {
  const length = `Content-Length: ${JSON_BODY.length}`
  const typed = (method: string, ...types: string[]) =>
    head(method, '/notes', [
      'Authorization: Bearer me',
      ...types.map((type) => `Content-Type: ${type}`),
      length,
    ]) + JSON_BODY

  test.each([
    ['POST', 'application/json; charset=utf-8', 201],
    ['POST', 'Application/JSON;profile="a";Charset="UTF-8"', 201],
    ['POST', 'application/json ;version=1', 201],
    ['POST', 'application/json; charset=latin1', 415],
    ['POST', 'application/json; charset=utf-16', 415],
    ['POST', 'application/jsonx', 415],
    ['POST', 'application/merge-patch+json', 415],
    ['PATCH', 'application/merge-patch+json', 200],
    ['PATCH', 'application/merge-patch+json; charset=utf-8', 200],
    ['PATCH', 'application/json', 200],
    ['PATCH', 'application/json-patch+json', 415],
  ])('of a %s may be %s: %i', async (method, type, status) => {
    expect(await answerTo(typed(method, type))).toMatchObject({ status })
  })

  test('has one type', async () => {
    const answer = await answerTo(typed('POST', 'application/json', 'application/json'))
    expect(answer).toMatchObject({ status: 400 })
    expect(answer.body).toContain('Send only one Content-Type')
  })

  test('belongs to one caller', async () => {
    const answer = await answerTo(post('Authorization: Bearer me', length) + JSON_BODY)
    expect(answer).toMatchObject({ status: 400 })
    expect(answer.body).toContain('Send only one Authorization')
    expect(edge.state.writes).toEqual([])
  })

  test('may start with a byte order mark', async () => {
    const body = `\xef\xbb\xbf${JSON_BODY}`
    expect(await answerTo(`${post(`Content-Length: ${body.length}`)}${body}`)).toMatchObject({
      status: 201,
    })
    const twice = `\xef\xbb\xbf${body}`
    expect(await answerTo(`${post(`Content-Length: ${twice.length}`)}${twice}`)).toMatchObject({
      status: 400,
    })
  })

  test('may not be empty, however its head arrives', async () => {
    const request = post('Content-Length: 0')
    expect(await answerTo(request)).toMatchObject({ status: 400 })
    expect(await answerTo(...cut(request))).toMatchObject({ status: 400 })
  })

  test('has one encoding', async () => {
    const request = post('Content-Encoding: gzip', 'Content-Encoding: identity', length)
    expect(await answerTo(request + JSON_BODY)).toMatchObject({ status: 415 })
  })

  test('has a length or comes in chunks', async () => {
    expect(await answerTo(head('POST', '/notes', POST))).toMatchObject({ status: 411 })
    expect(await answerTo(head('PUT', '/text', []))).toMatchObject({ status: 405 })
  })
})

describe('uWebSockets.js alone decides', () => {
  test.each([
    ['a folded header', head('GET', '/text', ['A: b', ' c']), '400'],
    ['a header without a colon', head('GET', '/text', ['abc']), '400'],
    ['a space before a colon', head('GET', '/text', ['A : b']), '400'],
    ['a control character', head('GET', '/text', ['A: b\x01']), '400'],
    ['a NUL', head('GET', '/text', ['A: b\0']), '400'],
    ['a line that ends with LF', 'GET /text HTTP/1.1\r\nHost: x\nA: b\r\n\r\n', '400'],
    ['no Host', 'GET /text HTTP/1.1\r\nA: b\r\n\r\n', '400'],
    ['two Hosts', head('GET', '/text', ['Host: x']), '400'],
    ['a length with a sign', head('GET', '/text', ['Content-Length: +1']), '400'],
    ['two lengths in one', head('GET', '/text', ['Content-Length: 1, 1']), '400'],
    ['lines that end with LF', 'GET /text HTTP/1.1\nHost: x\n\n', '400|505'],
    ['a whole URL', 'GET http://x/text HTTP/1.1\r\nHost: x\r\n\r\n', '400|505'],
    ['HTTP/1.0', 'GET /text HTTP/1.0\r\nHost: x\r\n\r\n', '400|505'],
    [
      'a trailer',
      `${post('Transfer-Encoding: chunked')}${chunk(JSON_BODY)}0\r\nA: b\r\n\r\n`,
      '400|505',
    ],
  ])('to refuse %s', async (_, request, statuses) => {
    const { text, closed } = await exchange([request])
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 (?:${statuses}) `))
    expect(closed).toBe(true)
  })

  test('to take an extension of a chunk for a part of its size', async () => {
    const request = `${post('Transfer-Encoding: chunked')}2;a=b\r\n{}\r\n0\r\n\r\n`
    expect(await answerTo(request)).toMatchObject({ status: 408 })
    await exchange([request + HIDDEN])
    expect(edge.state.writes).toEqual([])
  })

  test('to drop what a client wanted that closes its half of the connection', async () => {
    const wire = await openWire(edge.port)
    wire.socket.end(`${post(`Content-Length: ${JSON_BODY.length}`)}${JSON_BODY}`)
    await wire.closed
    expect(wire.received()).toBe('')
    await eventually('the write', () => edge.state.writes.length === 1)
  })

  test.each(['/text#a', '/text/../text', '/%74ext', '//text', '/TEXT'])(
    'that a path is what it is called: %s',
    async (path) => {
      const { text } = await exchange([head('GET', path, [])])
      expect(readAnswers(text, ['GET'])).toMatchObject([{ status: 404 }])
    },
  )

  test('that a method is what it is called', async () => {
    const { text } = await exchange([head('get', '/text', [])])
    expect(readAnswers(text, ['get'])).toMatchObject([{ status: 405 }])
  })
})
