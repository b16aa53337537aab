import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSampler, type SamplerName } from '../../src/server/observe/sampler.ts'
import {
  isUnsampled,
  readTraceContext,
  type TraceContext,
} from '../../src/server/observe/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const GOOD = `00-${TRACE}-${SPAN}-01`

const HEX_DIGITS = Array.from({ length: 16 }, (_, digit) => digit.toString(16))
const digits = (length: number) =>
  fc.string({ unit: fc.constantFrom(...HEX_DIGITS), minLength: length, maxLength: length })

describe('traceparent', () => {
  test('names a trace, the span of the client, and its flags', () => {
    expect(readTraceContext(GOOD, '')).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      flags: 1,
      state: '',
    })
  })

  test.each([
    ['nothing', ''],
    ['a version that is not valid', GOOD.replace(/^00/, 'ff')],
    ['a version that is no number', GOOD.replace(/^00/, '0x')],
    ['capital letters in the trace', GOOD.replace(TRACE, TRACE.toUpperCase())],
    ['capital letters in the span', GOOD.replace(SPAN, SPAN.toUpperCase())],
    ['capital letters in the flags', GOOD.replace(/01$/, '0B')],
    ['a trace of zeros', GOOD.replace(TRACE, '0'.repeat(32))],
    ['a span of zeros', GOOD.replace(SPAN, '0'.repeat(16))],
    ['a short trace', GOOD.replace(TRACE, TRACE.slice(1))],
    ['no flags', GOOD.slice(0, -3)],
    ['one digit of flags', GOOD.slice(0, -1)],
    ['more fields than version 00 has', `${GOOD}-00`],
    ['more text than version 00 has', `${GOOD} `],
    ['text before it', ` ${GOOD}`],
    ['more flags than a later version has', `${GOOD.replace(/^00/, '01')}0`],
    ['two lines', `${GOOD},${GOOD}`],
    ['two lines of a later version', `${GOOD.replace(/^00/, '01')},${GOOD}`],
    ['other separators', GOOD.replaceAll('-', '_')],
  ])('names no trace with %s', (_, text) => {
    expect(readTraceContext(text, '')).toBeUndefined()
    expect(isUnsampled(text)).toBe(false)
  })

  test.each([`cc-${TRACE}-${SPAN}-01`, `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`])(
    'of a later version is read as far as it is known: %s',
    (text) => {
      expect(readTraceContext(text, '')).toMatchObject({ traceId: TRACE, spanId: SPAN, flags: 1 })
    },
  )

  test('says whether its client samples, whatever the other flags are', () => {
    fc.assert(
      fc.property(
        digits(32),
        digits(16),
        fc.integer({ min: 0, max: 255 }),
        (trace, span, flags) => {
          const text = `00-${trace}-${span}-${flags.toString(16).padStart(2, '0')}`
          const isValid = !/^0+$/.test(trace) && !/^0+$/.test(span)
          const read = readTraceContext(text, '')
          expect(read !== undefined).toBe(isValid)
          expect(isUnsampled(text)).toBe(isValid && flags % 2 === 0)
          if (read) expect(read).toMatchObject({ traceId: trace, spanId: span, flags: flags & 3 })
        },
      ),
    )
  })

  test('is never read from other text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => {
        expect(readTraceContext(text, '')).toBeUndefined()
      }),
    )
  })
})

describe('tracestate', () => {
  const stateOf = (text: string) => readTraceContext(GOOD, text)?.state
  const members = (count: number) => Array.from({ length: count }, (_, at) => `k${at}=v`).join(',')

  test.each([
    'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
    '0tenant@vendor=1',
    'a=1, b=2\t,,c=3 4',
    'a=!~',
    members(32),
    `${'k'.repeat(256)}=${'v'.repeat(255)}`,
  ])('is kept as it is: %s', (text) => {
    expect(stateOf(text)).toBe(text)
  })

  test.each([
    'a',
    'a=',
    '=1',
    'A=1',
    '_a=1',
    'a=1,a=2',
    'a=1=2',
    'a=\u00e9',
    ', ,',
    members(33),
    `${'k'.repeat(257)}=1`,
    `a=${'v'.repeat(256)},b=${'v'.repeat(256)}`,
  ])('is dropped as a whole: %s', (text) => {
    expect(stateOf(text)).toBe('')
  })

  test('means nothing without a trace', () => {
    expect(readTraceContext('', 'a=1')).toBeUndefined()
  })
})

describe('a sampler', () => {
  const parent = (flags: number, traceId = TRACE): TraceContext => {
    return { traceId, spanId: SPAN, flags, state: '' }
  }
  const low = `${TRACE.slice(0, 19)}${'0'.repeat(13)}`
  const high = `${TRACE.slice(0, 19)}${'f'.repeat(13)}`

  test.each<[SamplerName, boolean, boolean]>([
    ['parentbased_always_on', true, false],
    ['parentbased_always_off', true, false],
    ['parentbased_traceidratio', true, false],
    ['always_on', true, true],
    ['always_off', false, false],
  ])('%s follows a client that samples, and one that does not: %s, %s', (name, yes, no) => {
    const sampler = createSampler(name, 0.5)
    expect(sampler.continues(parent(1))).toBe(yes)
    expect(sampler.continues(parent(0))).toBe(no)
  })

  test('by ratio decides by the end of the id', () => {
    const sampler = createSampler('traceidratio', 0.01)
    expect(sampler.continues(parent(0, high))).toBe(true)
    expect(sampler.continues(parent(1, low))).toBe(false)
  })

  test('starts all traces, none, or the part that is asked for', () => {
    const started = (name: SamplerName, ratio: number) => {
      const sampler = createSampler(name, ratio)
      return Array.from({ length: 20_000 }, () => sampler.start()).filter((id) => id !== undefined)
    }
    expect(started('always_on', 0)).toHaveLength(20_000)
    expect(started('traceidratio', 1)).toHaveLength(20_000)
    expect(started('parentbased_always_off', 1)).toEqual([])
    expect(started('traceidratio', 0)).toEqual([])
    const part = started('parentbased_traceidratio', 0.1)
    // 2000 expected; chance reaches these bounds once in 10^20 runs.
    expect(part.length).toBeGreaterThan(1600)
    expect(part.length).toBeLessThan(2400)
  })

  test('starts traces that are valid, differ, and that a service with the same ratio chooses, too', () => {
    const sampler = createSampler('parentbased_traceidratio', 0.25)
    const other = createSampler('traceidratio', 0.25)
    const ids = Array.from({ length: 4000 }, () => sampler.start()).filter((id) => id !== undefined)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) {
      expect(readTraceContext(`00-${id}-${SPAN}-01`, '')?.traceId).toBe(id)
      expect(other.continues(parent(0, id))).toBe(true)
    }
  })
})
