// Random requests over every route, each with the statuses that it may get; made by a seed.
import { routes } from '../../../src/server/api/routes.ts'
import { pick, type Random } from '../../support/random.ts'
import { chunk } from '../case.ts'
import { mutateHead, mutateJson } from './mutations.ts'
import { badTask, goodTask, randomText } from './tasks.ts'

export interface World {
  tokens: readonly string[]
  badTokens: readonly string[]
  /** Of tasks of the first account. */
  taskIds: readonly string[]
}

export interface Generated {
  kind: string
  method: string
  bytes: Buffer
  /** What may be answered; empty when the request may be anything: then every known status below 500. */
  statuses: readonly number[]
  /** What follows may be garbage, or the head may be: the connection cannot be used again, and may stay silent. */
  broken: boolean
}

interface Draft {
  kind: string
  method: string
  target: string
  lines: string[]
  body?: Buffer
  /** Where the body is cut into chunks; absent when it has a length. */
  cut?: number
  statuses: readonly number[]
}

/** Hashing a password takes as long as a thousand reads: of routes that do, few good requests are made. */
const HASHES_ONE_IN = 2000
const ABSENT = '/api/v1/tasks/00000000-0000-4000-8000-00000000abcd'
const GARBAGE = [
  '\0\0\0\0',
  '\x16\x03\x01\0\xa5',
  'GET',
  '\n\n',
  '{"title":"x"}',
  ': a\r\n\r\n',
  '0\r\n\r\n',
]
const BAD_QUERIES = [
  'limit=0',
  'limit=x',
  'status=any',
  'offset=-1',
  'cursor=x',
  'a=b',
  'limit=1&limit=2',
]
const GOOD_QUERIES = [
  '',
  '?limit=1',
  '?limit=3&offset=2',
  '?status=todo&limit=2',
  '?limit=2&status=done',
]
const METHODS = ['PUT', 'TRACE', 'BREW', 'get', 'PROPFIND']

export function makeRequest(random: Random, world: World): Generated {
  const draft = makeDraft(random, world)
  if (random(4) === 0) draft.lines.push(`X-Request-Id: r${random(1_000_000)}`)
  if (random(8) === 0) draft.lines.push('Accept-Encoding: gzip')
  const bytes = bytesOf(draft)
  const { kind, method, statuses } = draft
  const turn = random(20)
  if (turn === 0)
    return {
      kind: 'mutated head',
      method,
      bytes: mutateHead(bytes, random),
      statuses: [],
      broken: true,
    }
  if (turn === 1) {
    const garbage = Buffer.from(pick(GARBAGE, random), 'latin1')
    return {
      kind: 'garbage behind',
      method,
      bytes: Buffer.concat([bytes, garbage]),
      statuses: [],
      broken: true,
    }
  }
  return { kind, method, bytes, statuses, broken: false }
}

/** A request to a random route: good, without its token, or with something wrong in it. */
function makeDraft(random: Random, world: World): Draft {
  const route = pick(routes, random)
  const wayward = random(10)
  if (wayward === 0) return plain('unknown path', 'GET', `/${randomPath(random)}`, [404])
  const target = route.path.replace(':id', pick(world.taskIds, random))
  if (wayward === 1) return plain('refused method', pick(METHODS, random), target, [405, 501])
  if (wayward === 2) return plain('options', 'OPTIONS', target, [204])
  if (route.auth && wayward === 3) return withoutToken(random, world, route.method, target)
  const token = route.auth ? [`Authorization: Bearer ${pick(world.tokens, random)}`] : []
  if (route.path.startsWith('/api/v1/auth')) return forAccounts(random, target)
  if (route.method === 'GET') return forReading(random, target, token, route.query !== undefined)
  if (route.method === 'DELETE')
    return { ...plain('delete', 'DELETE', ABSENT, [404]), lines: token }
  return forWriting(random, route.method, target, token)
}

function plain(kind: string, method: string, target: string, statuses: number[]): Draft {
  return { kind, method, target, lines: [], statuses }
}

function withoutToken(random: Random, world: World, method: string, target: string): Draft {
  const lines = random(2) ? [`Authorization: Bearer ${pick(world.badTokens, random)}`] : []
  return { ...plain('without a token', method, target, [401]), lines }
}

function forReading(random: Random, target: string, lines: string[], isList: boolean): Draft {
  const method = random(4) === 0 ? 'HEAD' : 'GET'
  if (!isList) return { kind: 'read', method, target, lines, statuses: [200, 404] }
  if (random(2)) {
    return {
      kind: 'list',
      method,
      target: target + pick(GOOD_QUERIES, random),
      lines,
      statuses: [200],
    }
  }
  return {
    kind: 'bad query',
    method,
    target: `${target}?${pick(BAD_QUERIES, random)}`,
    lines,
    statuses: [400],
  }
}

function forWriting(random: Random, method: string, target: string, lines: string[]): Draft {
  const good = method === 'POST' ? [201] : [200, 404]
  const draft = { method, target, lines: [...lines, 'Content-Type: application/json'] }
  const turn = random(4)
  if (turn === 0)
    return { ...draft, kind: 'bad fields', body: json(badTask(random)), statuses: [400] }
  const body = json(goodTask(random))
  if (turn === 1) {
    const statuses = [...good, 400, 413]
    return { ...draft, kind: 'mutated JSON', body: mutateJson(body, random), statuses }
  }
  if (turn === 2 && random(2)) {
    return {
      ...draft,
      kind: 'bad type',
      lines: [...lines, 'Content-Type: text/plain'],
      body,
      statuses: [415],
    }
  }
  if (turn === 3 && random(4) === 0) {
    return { ...draft, kind: 'write in chunks', body, cut: 1 + random(body.length), statuses: good }
  }
  return { ...draft, kind: 'write', body, statuses: good }
}

function forAccounts(random: Random, target: string): Draft {
  const lines = ['Content-Type: application/json']
  const draft = { method: 'POST', target, lines }
  const address = `fuzz${random(1_000_000_000)}@example.com`
  const account = { email: address, password: `phrase ${random(1_000_000_000)}` }
  if (random(HASHES_ONE_IN) === 0) {
    return { ...draft, kind: 'account', body: json(account), statuses: [201, 401, 409, 429] }
  }
  const wrong = pick<object>(
    [
      { ...account, [randomText(random)]: 1 },
      { email: address },
      { ...account, password: 7 },
      [account],
      {},
    ],
    random,
  )
  return { ...draft, kind: 'bad account', body: json(wrong), statuses: [400, 429] }
}

function bytesOf({ method, target, lines, body, cut }: Draft): Buffer {
  const framing = cut ? 'Transfer-Encoding: chunked' : `Content-Length: ${body?.length}`
  const all = ['Host: service.example', ...lines, ...(body ? [framing] : [])]
  const start = Buffer.from([`${method} ${target} HTTP/1.1`, ...all, '', ''].join('\r\n'), 'latin1')
  if (!body) return start
  return Buffer.concat([start, cut ? inChunks(body, cut) : body])
}

/** Two chunks, or one. */
function inChunks(body: Buffer, cut: number): Buffer {
  const parts = [body.subarray(0, cut), body.subarray(cut)].filter(({ length }) => length > 0)
  const text = parts.map((part) => chunk(part.toString('latin1'))).join('')
  return Buffer.from(`${text}0\r\n\r\n`, 'latin1')
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function randomPath(random: Random): string {
  return `nope${Array.from({ length: random(5) }, () => String.fromCharCode(97 + random(26))).join('/')}`
}
