import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatInstant } from '../../src/db/instant.ts'
import { INSTANT_BYTES_MAX, readInstant, writeInstant } from '../../src/db/wire/calendar.ts'
import type { Connection } from '../../src/db/wire/connection.ts'
import type { Parameter } from '../../src/db/wire/parameters.ts'
import { declareStatement } from '../../src/db/wire/statement.ts'
import { INSTANT, INT4, INT8, TEXT, UUID, type ValueType } from '../../src/db/wire/types.ts'
import { readInt4, readInt8, readText, readUuid } from '../../src/db/wire/values.ts'
import { maintenanceUrl } from '../support/database.ts'
import { call, open } from './conversations.ts'

const MICROS_OF_YEAR_1 = -63_082_281_600_000_000n
const MICROS_OF_YEAR_9999 = 252_455_615_999_999_999n
const RUNS = { numRuns: 2000 }

let connection: Connection

beforeAll(async () => {
  connection = await open(maintenanceUrl(), { parameters: { TimeZone: 'UTC' } })
})

afterAll(() => connection.end())

/** Sends values as parameters of this type; answers both what comes back in binary, and PostgreSQL's text of it. */
async function roundTrip<Value>(
  type: ValueType,
  name: string,
  read: (bytes: Buffer, start: number) => Value,
  values: Parameter[],
): Promise<{ value: Value | undefined; text: string }[]> {
  const statement = declareStatement({
    name: '',
    text: `select $1::${name}, $1::${name}::text`,
    parameters: [type],
    columns: [type, TEXT],
  })
  return Promise.all(
    values.map(
      (parameter) =>
        new Promise<{ value: Value | undefined; text: string }>((resolve, reject) => {
          let row: { value: Value; text: string } | undefined
          connection.execute(statement, [parameter], {
            row: (bytes, fields) => {
              const text = readText(bytes, fields[2] ?? 0, fields[3] ?? 0)
              row = { value: read(bytes, fields[0] ?? 0), text }
            },
            done: () => resolve(row as { value: Value; text: string }),
            failed: reject,
          })
        }),
    ),
  )
}

describe('times', () => {
  const micros = fc.oneof(
    fc.bigInt(MICROS_OF_YEAR_1, MICROS_OF_YEAR_9999),
    fc.bigInt(-10_000_000n, 10_000_000n),
    fc
      .bigInt(MICROS_OF_YEAR_1 / 1_000_000n, MICROS_OF_YEAR_9999 / 1_000_000n)
      .map((s) => s * 1_000_000n),
    fc
      .bigInt(MICROS_OF_YEAR_1 / 86_400_000_000n, MICROS_OF_YEAR_9999 / 86_400_000_000n)
      .map((d) => d * 86_400_000_000n + 86_399_999_990n),
  )

  function encode(value: bigint): Buffer {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(value)
    return bytes
  }

  test('are written as PostgreSQL writes them, from year 1 to 9999', async () => {
    const samples = fc.sample(micros, RUNS.numRuns)
    samples.push(MICROS_OF_YEAR_1, MICROS_OF_YEAR_9999, 0n, -1n, 1n)
    const list = samples.join(',')
    const texts = await connection.query(
      `select ('2000-01-01 00:00:00+00'::timestamptz + (n || ' microseconds')::interval)::text from unnest(array[${list}]::int8[]) with ordinality as t (n, i) order by i`,
    )
    const expected = texts.map(([text]) => formatInstant(text ?? ''))
    expect(samples.map((value) => readInstant(encode(value), 0))).toEqual(expected)
  })

  test('are read and written back as they were', async () => {
    const texts = fc.sample(micros, RUNS.numRuns).map((value) => readInstant(encode(value), 0))
    const rows = await roundTrip(INSTANT, 'timestamptz', readInstant, texts)
    expect(rows.map(({ value }) => value)).toEqual(texts)
    expect(rows.map(({ text }) => formatInstant(text))).toEqual(texts)
  })

  test('are rounded and shifted as PostgreSQL does it', async () => {
    const two = (max: number, min = 0) =>
      fc.integer({ min, max }).map((value) => String(value).padStart(2, '0'))
    const given = fc
      .tuple(
        fc.integer({ min: 2, max: 9998 }).map((year) => String(year).padStart(4, '0')),
        two(12, 1),
        two(28, 1),
        two(23),
        two(59),
        two(59),
        fc.oneof(
          fc.constant(''),
          fc.stringMatching(/^\.\d{1,9}$/),
          fc.stringMatching(/^\.\d{6}5$/),
          fc.constant('.9999995'),
        ),
        fc.oneof(
          fc.constant('Z'),
          fc.constant('z'),
          fc
            .tuple(fc.constantFrom('+', '-'), two(15), two(59))
            .map(([sign, hour, minute]) => `${sign}${hour}:${minute}`),
        ),
      )
      .map(
        ([year, month, day, hour, minute, second, fraction, zone]) =>
          `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}${zone}`,
      )
    const texts = fc.sample(given, RUNS.numRuns)
    const rows = await roundTrip(INSTANT, 'timestamptz', readInstant, texts)
    const list = texts.map((text) => `'${text}'`).join(',')
    const expected = await connection.query(
      `select t::text from unnest(array[${list}]::timestamptz[]) with ordinality as u (t, i) order by i`,
    )
    expect(rows.map(({ value }, index) => [texts[index], value])).toEqual(
      expected.map(([text], index) => [texts[index], formatInstant(text ?? '')]),
    )
  })

  test('know infinity, and years that RFC 3339 cannot show', async () => {
    const ends = ['infinity', '-infinity']
    const rows = await roundTrip(INSTANT, 'timestamptz', readInstant, ends)
    expect(rows.map(({ value, text }) => [value, text])).toEqual(ends.map((end) => [end, end]))
    expect(readInstant(encode(MICROS_OF_YEAR_9999 + 1n), 0)).toBe('+010000-01-01T00:00:00Z')
    expect(readInstant(encode(MICROS_OF_YEAR_1 - 31_622_400_000_001n), 0)).toBe(
      '-000001-12-31T23:59:59.999999Z',
    )
    const least = encode(-(2n ** 63n) + 1n)
    const target = Buffer.alloc(INSTANT_BYTES_MAX)
    const end = writeInstant(target, 0, least.readInt32BE(0), least.readInt32BE(4))
    expect(end).toBeLessThanOrEqual(INSTANT_BYTES_MAX)
  })

  test.each([
    '',
    'today',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01',
  ])('%j is refused before it is sent', async (text) => {
    const statement = declareStatement({
      name: '',
      text: 'select $1::timestamptz',
      parameters: [INSTANT],
      columns: [INSTANT],
    })
    expect(await call(connection, statement, text)).toMatchObject({ sent: false })
  })
})

describe('numbers and ids', () => {
  test('int4 and int8 travel in binary', async () => {
    const small = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), ...fc.sample(fc.integer(), 200)]
    const rows = await roundTrip(INT4, 'int4', readInt4, small)
    expect(rows.map(({ value, text }) => [value, text])).toEqual(small.map((n) => [n, String(n)]))
    const large = [
      0,
      2 ** 32,
      -(2 ** 32),
      2 ** 31,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
      ...fc.sample(fc.maxSafeInteger(), 200),
    ]
    const rows8 = await roundTrip(INT8, 'int8', readInt8, large)
    expect(rows8.map(({ value, text }) => [value, text])).toEqual(large.map((n) => [n, String(n)]))
    const huge = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, -1n]
    const texts = await roundTrip(INT8, 'int8', () => 0, huge)
    expect(texts.map(({ text }) => text)).toEqual(huge.map(String))
    expect(() => readInt8(Buffer.from('7fffffffffffffff', 'hex'), 0)).toThrow(RangeError)
    await expect(roundTrip(INT8, 'int8', readInt8, [2n ** 63n])).rejects.toThrow('bigint')
  })

  test('uuids travel in binary, in either case', async () => {
    const ids = fc.sample(fc.uuid(), 200)
    const given = ids.map((id, index) => (index % 2 === 0 ? id : id.toUpperCase()))
    const rows = await roundTrip(UUID, 'uuid', readUuid, given)
    expect(rows.map(({ value, text }) => [value, text])).toEqual(ids.map((id) => [id, id]))
  })

  test.each<[ValueType, string, Parameter]>([
    [UUID, 'uuid', '01a2024a-0000-7000-8000-00000000000g'],
    [UUID, 'uuid', '01a2024a00000-7000-8000-000000000000'],
    [UUID, 'uuid', '01a2024a-0000-7000-8000-00000000000'],
    [UUID, 'uuid', '01a2024a-0000-7000-8000-00000000000\u0130'],
    [UUID, 'uuid', 5],
    [INT4, 'int4', 2 ** 31],
    [INT4, 'int4', 1.5],
    [INT4, 'int4', '1'],
    [INT8, 'int8', 2 ** 53],
    [INT8, 'int8', Number.NaN],
  ])('%j %s %j is refused before it is sent', async (type, name, value) => {
    const statement = declareStatement({
      name: '',
      text: `select $1::${name}`,
      parameters: [type],
      columns: [type],
    })
    expect(await call(connection, statement, value)).toMatchObject({
      sent: false,
      error: { code: 'INVALID_PARAMETER' },
    })
    expect(connection.closed).toBe(false)
  })
})
