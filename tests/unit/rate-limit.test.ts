import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rate } from '../../src/server/config/kinds.ts'
import { RateLimit } from '../../src/server/http/rate-limit.ts'

const START_MS = 1000

describe('the setting', () => {
  test.each([
    ['100/s', { requests: 100, seconds: 1 }],
    ['1000/m', { requests: 1000, seconds: 60 }],
    ['1/h', { requests: 1, seconds: 3600 }],
    ['1000000/s', { requests: 1_000_000, seconds: 1 }],
    ['off', undefined],
  ])('reads %s', (text, value) => {
    expect(rate.parse(text)).toEqual({ value })
  })

  test.each([
    '',
    '0/s',
    '-1/s',
    '1.5/s',
    '100',
    '/s',
    '100/d',
    '100 / s',
    '1000001/s',
    '01/s',
    'on',
  ])('refuses "%s"', (text) => {
    expect(rate.parse(text)).toBeUndefined()
  })
})

describe('a limit of ten in two seconds', () => {
  const create = () => new RateLimit({ requests: 10, seconds: 2 })

  test('admits ten at once, counts them down, and refuses the next', () => {
    const limit = create()
    const shares = Array.from({ length: 11 }, () => limit.take('a', START_MS))
    expect(shares.map(({ remaining }) => remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0])
    expect(shares.map(({ admitted }) => admitted)).toEqual([...Array(10).fill(true), false])
    expect(shares[10]?.waitMs).toBeCloseTo(200)
  })

  test('admits one more after each fifth of a second', () => {
    const limit = create()
    for (let count = 0; count < 10; count += 1) limit.take('a', START_MS)
    expect(limit.take('a', START_MS + 199).admitted).toBe(false)
    expect(limit.take('a', START_MS + 200).admitted).toBe(true)
    expect(limit.take('a', START_MS + 200).admitted).toBe(false)
    expect(limit.take('a', START_MS + 600).remaining).toBe(1)
  })

  test('gives back all of the quota to a key that was silent, and no more', () => {
    const limit = create()
    for (let count = 0; count < 10; count += 1) limit.take('a', START_MS)
    expect(limit.take('a', START_MS + 60_000)).toEqual({
      admitted: true,
      remaining: 9,
      waitMs: 200,
    })
  })

  test('counts each key for itself', () => {
    const limit = create()
    for (let count = 0; count < 20; count += 1) limit.take('a', START_MS)
    expect(limit.take('b', START_MS).remaining).toBe(9)
  })

  test('takes nothing for what it refuses: the wait does not grow', () => {
    const limit = create()
    for (let count = 0; count < 1000; count += 1) limit.take('a', START_MS)
    expect(limit.take('a', START_MS + 200).admitted).toBe(true)
  })
})

test('a key that is used is remembered, however many others come', () => {
  const limit = new RateLimit({ requests: 1, seconds: 3600 })
  limit.take('used', START_MS)
  for (let other = 0; other < 100_000; other += 1) {
    limit.take(`other ${other}`, START_MS)
    if (other % 10_000 === 0) expect(limit.take('used', START_MS).admitted).toBe(false)
  }
  // One that is not used is forgotten: what is remembered is bounded.
  expect(limit.take('other 0', START_MS).admitted).toBe(true)
})

test('never admits more than the quota and what has grown back since', () => {
  const steps = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 200 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), steps, (requests, pauses) => {
      const limit = new RateLimit({ requests, seconds: 1 })
      let nowMs = START_MS
      let admitted = 0
      for (const pause of pauses) {
        nowMs += pause
        if (limit.take('a', nowMs).admitted) admitted += 1
        expect(admitted).toBeLessThanOrEqual(requests * (1 + (nowMs - START_MS) / 1000) + 0.01)
      }
    }),
  )
})
