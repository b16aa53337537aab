// The meter itself, with answers at times that are made up.
import { expect, test } from 'vitest'
import { longestGapMs, normalAfterMs, recoveryMs } from './meter.ts'

const RATE_PER_SECOND = 100

function answers(from: number, to: number): number[] {
  return Array.from({ length: (to - from) / 10 }, (_, index) => from + index * 10)
}

test('the rate is back when a whole second has nine tenths of it', () => {
  const goodAt = [...answers(0, 1000), ...answers(1700, 4000)]
  expect(recoveryMs(goodAt, 1000, RATE_PER_SECOND)).toBe(600)
  expect(recoveryMs(goodAt, 2000, RATE_PER_SECOND)).toBe(0)
})

test('a burst of answers that were held up is not the rate', () => {
  const burst = Array.from({ length: 100 }, () => 1100)
  expect(recoveryMs([...burst, ...answers(3000, 5000)], 1000, RATE_PER_SECOND)).toBe(1900)
})

test('half the rate is no recovery', () => {
  const half = answers(0, 5000).filter((_, index) => index % 2 === 0)
  expect(recoveryMs(half, 0, RATE_PER_SECOND)).toBe(undefined)
})

test('the longest time without an answer may be at either end', () => {
  expect(longestGapMs([100, 200, 700, 900], 0, 1000)).toBe(500)
  expect(longestGapMs([900], 0, 1000)).toBe(900)
  expect(longestGapMs([100], 0, 1000)).toBe(900)
  expect(longestGapMs([], 0, 1000)).toBe(1000)
})

test('a service is normal from the first half second that is good and fast', () => {
  const sample = (dueMs: number, latencyMs = 1, good = true) => ({ dueMs, latencyMs, good })
  const fine = answers(0, 2000).map((dueMs) => sample(dueMs))
  const limitMs = 20
  expect(normalAfterMs(fine, limitMs)).toBe(0)
  expect(normalAfterMs([sample(310, 1, false), ...fine], limitMs)).toBe(350)
  const slow = answers(0, 600).map((dueMs) => sample(dueMs, 21))
  expect(normalAfterMs([...slow, ...fine], limitMs)).toBe(600)
  expect(
    normalAfterMs(
      answers(0, 2000).map((dueMs) => sample(dueMs, 21)),
      limitMs,
    ),
  ).toBe(undefined)
})
