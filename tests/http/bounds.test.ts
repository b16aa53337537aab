// What one request may cost and bring back: the worst bodies and query strings that fit into the limits.
import { beforeAll, describe, expect, test } from 'vitest'
import { type Account, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const fixture = useService()
const BODY_BYTES = 65_536
const ANSWER_BYTES_MAX = 16_384
const ID = '01a2024a-fc86-7056-b801-9e780d49bebb'
const HEADERS = { 'content-type': 'application/json' }
let owner: Account

beforeAll(async () => {
  owner = await register(fixture.client)
})

/** As many pieces as fit between head and tail. */
function fill(head: string, piece: (index: number) => string, tail: string): string {
  let text = head
  for (let index = 0; ; index += 1) {
    const next = piece(index)
    if (text.length + next.length + tail.length > BODY_BYTES) return text + tail
    text += next
  }
}

function name(index: number): string {
  return index.toString(36)
}

const BODIES: Record<string, string> = {
  'unknown names': fill('{', (index) => `"${name(index)}":0,`, '"z":0}'),
  'unknown names of objects': fill('{', (index) => `"${name(index)}":{},`, '"z":0}'),
  'numbers as names': fill('{', (index) => `"${index * 7919}":0,`, '"z":0}'),
  'the same name': fill('{', () => '"title":"a",', '"title":"x"}'),
  __proto__: fill('{', () => '"__proto__":{},', '"z":0}'),
  'one name of 64 KB': `{"${'k'.repeat(BODY_BYTES - 6)}":0}`,
  'one name of tildes': `{"${'~'.repeat(BODY_BYTES - 6)}":0}`,
  'one name of escapes': `{"${'\\u0001'.repeat(10_900)}":0}`,
  'one name of surrogates': `{"x${'\\ud83d\\ude00'.repeat(5400)}":0}`,
  'nested arrays': '['.repeat(BODY_BYTES / 2) + ']'.repeat(BODY_BYTES / 2),
  'nested arrays in a field': `{"title":${'['.repeat(32_000)}${']'.repeat(32_000)}}`,
  'nested objects': `${'{"a":'.repeat(10_900)}0${'}'.repeat(10_900)}`,
  'many numbers': fill('[', () => '0,', '0]'),
  'a long number': `{"title":${'9'.repeat(BODY_BYTES - 10)}}`,
  'a long fraction': `{"title":0.${'3'.repeat(BODY_BYTES - 12)}}`,
  'a long text': `{"title":"${'x'.repeat(BODY_BYTES - 12)}"}`,
  'a long text of quotes': `{"title":"${'\\"'.repeat(32_700)}"}`,
  'a long time': `{"title":"x","due_at":"2026-01-01T00:00:00.${'2'.repeat(60_000)}Z"}`,
  'a text without an end': `{"title":"${'x'.repeat(60_000)}`,
  'a text that ends in a backslash': `{"title":"${'x'.repeat(60_000)}\\`,
  spaces: ' '.repeat(BODY_BYTES),
}

const ROUTES: [string, string][] = [
  ['POST', '/api/v1/auth/register'],
  ['POST', '/api/v1/auth/login'],
  ['POST', '/api/v1/tasks'],
  ['PATCH', `/api/v1/tasks/${ID}`],
]

describe.each(ROUTES)('%s %s', (method, path) => {
  test.each(Object.entries(BODIES))('answers 64 KB with a short 400: %s', async (_, body) => {
    const options = { token: owner.token, headers: HEADERS, body }
    const answer = await fixture.client.request(method, path, options)
    expect(answer.status).toBe(400)
    expect(answer.body.code).toBe('invalid_request')
    expect(answer.body.errors?.length ?? 0).toBeLessThanOrEqual(50)
    expect(JSON.stringify(answer.body).length).toBeLessThan(ANSWER_BYTES_MAX)
  })
})

describe('a body', () => {
  function send(json: unknown) {
    return fixture.client.post('/api/v1/tasks', json, owner)
  }

  test('with a hundred unknown fields gets the first fifty errors', async () => {
    const names = Array.from({ length: 100 }, (_, index) => `x${index}`)
    const { status, body } = await send({
      title: 'x',
      ...Object.fromEntries(names.map((key) => [key, 0])),
    })
    expect(status).toBe(400)
    const errors = names
      .slice(0, 50)
      .map((key) => ({ pointer: `/${key}`, message: 'Unknown field' }))
    expect(body.errors).toEqual(errors)
  })

  test('with an unknown field of a long name gets the beginning of that name', async () => {
    const { body } = await send({ title: 'x', [`${'~'.repeat(99)}😀${'k'.repeat(60_000)}`]: 0 })
    expect(body.errors).toEqual([
      { pointer: `/${'~0'.repeat(99)}\ufffd…`, message: 'Unknown field' },
    ])
  })

  test('with wrong values beside unknown fields gets errors for all of them', async () => {
    const { body } = await send({ title: 1, ['__proto__x']: 0, priority: 'none' })
    expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
      '/__proto__x',
      '/title',
      '/priority',
    ])
  })

  test('may have a thousand commas, brackets and quotes in a text', async () => {
    const description = '",[{\\'.repeat(400)
    const { status, body } = await send({ title: 'x', description })
    expect(status).toBe(201)
    expect(body.description).toBe(description)
  })

  test('of more than a thousand values is refused as a whole', async () => {
    const { status, body } = await send({ title: 'x', description: Array(1000).fill(0) })
    expect(status).toBe(400)
    expect(body.error).toBe('Invalid body: Expected at most 1000 values')
  })
})

describe('a query string', () => {
  test.each([
    [
      'of thousands of parameters',
      Array.from({ length: 3000 }, (_, index) => name(index)).join('&'),
    ],
    ['of separators', '&'.repeat(15_000)],
    ['of one long name', 'a'.repeat(15_000)],
    ['of an encoded name', '%41'.repeat(5000)],
    ['of broken encodings', '%ff%'.repeat(3700)],
    ['of slashes and tildes', '~/'.repeat(7500)],
    ['of a long name twice', `${'~'.repeat(7000)}&${'~'.repeat(7000)}`],
    ['of a long cursor', `cursor=${'A'.repeat(15_000)}`],
    ['of a long number', `limit=${'9'.repeat(15_000)}`],
  ])('%s gets a short 400', async (_, query) => {
    const { status, body } = await fixture.client.get(`/api/v1/tasks?${query}`, owner)
    expect(status).toBe(400)
    expect(body.code).toBe('invalid_request')
    expect(JSON.stringify(body).length).toBeLessThan(2048)
  })
})
