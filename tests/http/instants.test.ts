// Times that clients send, against real PostgreSQL: what is accepted is stored, and comes back as the same instant.
import * as fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { type Account, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const fixture = useService()
const ID = '01a2024a-fc86-7056-b801-9e780d49bebb'
const RUNS = 1500
const PARALLEL = 50
const NANOS_PER_MICRO = 1000n
let owner: Account

beforeAll(async () => {
  owner = await register(fixture.client)
})

/** A number with two digits, mostly one that a clock or a calendar can show. */
function twoDigits(minimum: number, maximum: number) {
  const usual = fc.integer({ min: minimum, max: maximum })
  const number = fc.oneof(
    { weight: 20, arbitrary: usual },
    { weight: 4, arbitrary: fc.constantFrom(minimum, maximum) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 99 }) },
  )
  return number.map((value) => String(value).padStart(2, '0'))
}

const year = fc.oneof(
  fc.constantFrom('0000', '0001', '0099', '1900', '2000', '9998', '9999'),
  fc.integer({ min: 0, max: 9999 }).map((value) => String(value).padStart(4, '0')),
)
const fraction = fc.oneof(
  fc.constantFrom('', '.0', '.9999994', '.9999995', '.999999999', '.0000005', '.0000015'),
  fc.stringMatching(/^\.\d{0,10}$/),
)
const offset = fc.oneof(
  fc.constantFrom('Z', 'z', '+00:00', '-00:00', '+15:59', '-15:59', '+16:00', '-23:59', '+24:00'),
  fc
    .tuple(fc.constantFrom('+', '-'), twoDigits(0, 15), twoDigits(0, 59))
    .map(([sign, hour, minute]) => `${sign}${hour}:${minute}`),
)
const instant = fc
  .tuple(year, twoDigits(1, 12), twoDigits(1, 31), fc.constantFrom('T', 't', ' '))
  .chain(([yyyy, month, day, separator]) =>
    fc
      .tuple(twoDigits(0, 23), twoDigits(0, 59), twoDigits(0, 59), fraction, offset)
      .map(
        ([hour, minute, second, part, zone]) =>
          `${yyyy}-${month}-${day}${separator}${hour}:${minute}:${second}${part}${zone}`,
      ),
  )
const edges = [
  '0000-12-31T23:00:00-01:00',
  '0000-12-31T23:59:59.999999999-15:59',
  '0001-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59Z',
  '9999-12-31T23:59:58.999999999Z',
  '9999-12-31T23:59:58-00:01',
  '2016-12-31T23:59:60Z',
  '2026-01-01T24:00:00Z',
  'infinity',
  '-infinity',
  'now',
  '2026-01-01T00:00:00 BC',
]
const texts = [...edges, ...fc.sample(instant, RUNS)]

/** Nanoseconds since 1970, by the definition of the format. */
function nanosOf(text: string): bigint {
  const [, date, time, part = '', zone = ''] =
    /^(.{10}).(.{8})(?:\.(\d+))?([Zz]|[+-].{5})$/.exec(text) ?? []
  const seconds = BigInt(Date.parse(`${date}T${time}Z`)) / 1000n
  const [hour = 0, minute = 0] = zone.slice(1).split(':').map(Number)
  const east = (/[Zz]/.test(zone) ? 0 : hour * 3600 + minute * 60) * (zone[0] === '-' ? -1 : 1)
  return (seconds - BigInt(east)) * 1_000_000_000n + BigInt(part.padEnd(9, '0'))
}

async function forEachText(check: (text: string) => Promise<void>): Promise<void> {
  for (let at = 0; at < texts.length; at += PARALLEL) {
    await Promise.all(texts.slice(at, at + PARALLEL).map(check))
  }
}

test('a time that is accepted comes back as the same instant, any other gets 400', async () => {
  const counts = new Map<number, number>()
  await forEachText(async (text) => {
    const task = { title: 'x', due_at: text }
    const { status, body } = await fixture.client.post('/api/v1/tasks', task, owner)
    counts.set(status, (counts.get(status) ?? 0) + 1)
    if (status === 400) {
      expect(body.errors[0].pointer, text).toBe('/due_at')
      return
    }
    expect(status, `${text} ${JSON.stringify(body)}`).toBe(201)
    const distance = nanosOf(body.due_at) - nanosOf(text)
    expect(distance <= NANOS_PER_MICRO / 2n && distance >= -NANOS_PER_MICRO / 2n, text).toBe(true)
  })
  // Both kinds are among them.
  expect(counts.get(201)).toBeGreaterThan(RUNS / 10)
  expect(counts.get(400)).toBeGreaterThan(RUNS / 10)
})

test('a time that is refused does not touch the requests that are served with it', async () => {
  const answers = await Promise.all(
    edges.flatMap((due_at) => [
      fixture.client.post('/api/v1/tasks', { title: 'bad', due_at }, owner),
      fixture.client.post('/api/v1/tasks', { title: 'good' }, owner),
    ]),
  )
  for (const [index, { status }] of answers.entries()) {
    if (index % 2 === 1) expect(status).toBe(201)
  }
})

test('a cursor of any time gets a page or 400', async () => {
  await forEachText(async (text) => {
    const cursor = Buffer.from(`${text}/${ID}`).toString('base64url')
    const { status } = await fixture.client.get(`/api/v1/tasks?limit=1&cursor=${cursor}`, owner)
    expect([200, 400], text).toContain(status)
  })
})

test('a cursor of any content gets a page or 400', async () => {
  const uuid = fc.stringMatching(/^[0-9a-fA-F-]{36}$/)
  const content = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(instant, uuid).map(([time, id]) => `${time}/${id}`),
  )
  for (const text of fc.sample(content, 300)) {
    const cursor = Buffer.from(text).toString('base64url')
    const { status } = await fixture.client.get(`/api/v1/tasks?limit=1&cursor=${cursor}`, owner)
    expect([200, 400], text).toContain(status)
  }
})

test.each([
  'limit=-0',
  'limit=999999999999999',
  'limit=9999999999999999',
  'limit=1e3',
  'limit=1&offset=-0',
  'limit=1&offset=2147483647',
  'limit=1&offset=2147483648',
  'limit=1&offset=999999999999999',
  'limit=1&offset=-1',
  'status=%00',
  'status=todo%00',
  'status=__proto__',
  '__proto__=1',
])(
  'numbers and words at the edge of what PostgreSQL takes get a page or 400: %s',
  async (query) => {
    const { status } = await fixture.client.get(`/api/v1/tasks?${query}`, owner)
    expect([200, 400]).toContain(status)
  },
)
