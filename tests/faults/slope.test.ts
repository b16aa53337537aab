import { expect, test } from 'vitest'
import { seededRandom } from '../../bench/load/scenario.ts'
import { blockMeans, medianOf, type Sample, slopeOf, splitInto } from './slope.ts'

const COUNT = 40

function series(valueAt: (at: number) => number, count = COUNT): Sample[] {
  return Array.from({ length: count }, (_, at) => ({ at, value: valueAt(at) }))
}

test('a line has its slope, without doubt', () => {
  expect(slopeOf(series((at) => 7 + 3 * at))).toEqual({ median: 3, lower: 3, upper: 3 })
  expect(slopeOf(series(() => 7))).toEqual({ median: 0, lower: 0, upper: 0 })
})

test('the example of Sen (1968) has the slope 4, and its interval leaves out three slopes on either side', () => {
  const at = [1, 2, 3, 4, 10, 12, 18]
  const value = [9, 15, 19, 20, 45, 55, 78]
  const slope = slopeOf(at.map((time, index) => ({ at: time, value: value[index] ?? 0 })))
  expect(slope).toEqual({ median: 4, lower: 11 / 3, upper: 5 })
})

test('noise has no slope, and a slope that noise hides from the eye is found', () => {
  const random = seededRandom(1)
  const noise = series(() => 100 * random())
  expect(slopeOf(noise).lower).toBeLessThan(0)
  expect(slopeOf(noise).upper).toBeGreaterThan(0)
  const rising = slopeOf(noise.map(({ at, value }) => ({ at, value: value + 2 * at })))
  expect(rising.lower).toBeGreaterThan(0)
  expect(rising.lower).toBeLessThan(2)
  expect(rising.upper).toBeGreaterThan(2)
})

test('steps that go on are a rise, a single late one is none, and an outlier changes little', () => {
  expect(slopeOf(series((at) => 4 * Math.floor(at / 4))).lower).toBeGreaterThan(0.8)
  expect(slopeOf(series((at) => (at < COUNT - 2 ? 0 : 1000))).lower).toBe(0)
  const { median, lower } = slopeOf(series((at) => (at === 5 ? -1e6 : at)))
  expect(median).toBe(1)
  expect(lower).toBe(1)
})

test('a few blocks say nothing', () => {
  const { lower, upper } = slopeOf(series((at) => at, 5))
  expect(lower).toBe(Number.NEGATIVE_INFINITY)
  expect(upper).toBe(Number.POSITIVE_INFINITY)
  expect(slopeOf(series((at) => at, 6)).lower).toBe(1)
})

test('blocks have every sample once, and their means keep the slope', () => {
  expect(splitInto([1, 2, 3, 4, 5, 6, 7], 3)).toEqual([
    [1, 2, 3],
    [4, 5],
    [6, 7],
  ])
  expect(splitInto([1, 2], 40)).toEqual([[1], [2]])
  const blocks = blockMeans(
    series((at) => 2 * at, 960),
    COUNT,
  )
  expect(blocks.length).toBe(COUNT)
  expect(blocks[0]).toEqual({ at: 11.5, value: 23 })
  expect(slopeOf(blocks).median).toBe(2)
})

test('the median of an even count is between the middle two', () => {
  expect(medianOf([3, 1, 2])).toBe(2)
  expect(medianOf([4, 1, 3, 2])).toBe(2.5)
})
