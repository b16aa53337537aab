// What the times of good answers say: how soon the rate is back, and how long there was none at all.

const STEP_MS = 50
const WINDOW_MS = 1000
const QUARTERS = 4
const CALM_MS = 500
const SLOW_SHARE = 0.01
const SHARE = 0.9
/** A burst of answers that were held up is not yet a rate: each quarter of the window must have this share. */
const QUARTER_SHARE = 0.5

/**
 * Milliseconds from `healedAt` to the start of the first whole second with 90 % of the rate; `undefined` when there is
 * none.
 *
 * @param goodAt times of good answers, ascending
 */
export function recoveryMs(
  goodAt: readonly number[],
  healedAt: number,
  ratePerSecond: number,
): number | undefined {
  const last = goodAt.at(-1) ?? healedAt
  for (let from = healedAt; from + WINDOW_MS <= last; from += STEP_MS) {
    if (hasRate(goodAt, from, ratePerSecond)) return from - healedAt
  }
  return undefined
}

/** A request at a rate that the service can bear. */
export interface Sample {
  /** When it was due. */
  dueMs: number
  latencyMs: number
  good: boolean
}

/**
 * Milliseconds from 0 to the start of the first half second whose requests were all answered well, 99 % of them in time;
 * `undefined` when there is none.
 */
export function normalAfterMs(
  samples: readonly Sample[],
  latencyMsMax: number,
): number | undefined {
  const last = samples.reduce((latest, { dueMs }) => Math.max(latest, dueMs), 0)
  for (let from = 0; from + CALM_MS <= last; from += STEP_MS) {
    const within = samples.filter(({ dueMs }) => dueMs >= from && dueMs < from + CALM_MS)
    const slow = within.filter(({ latencyMs }) => latencyMs > latencyMsMax)
    if (within.length === 0 || !within.every(({ good }) => good)) continue
    if (slow.length <= SLOW_SHARE * within.length) return from
  }
  return undefined
}

/** The longest time without a good answer between two times. */
export function longestGapMs(goodAt: readonly number[], from: number, to: number): number {
  let longest = 0
  let previous = from
  for (let index = firstFrom(goodAt, from); index < goodAt.length; index += 1) {
    const time = Math.min(goodAt[index] ?? to, to)
    longest = Math.max(longest, time - previous)
    previous = time
    if (time === to) return longest
  }
  return Math.max(longest, to - previous)
}

function hasRate(goodAt: readonly number[], from: number, ratePerSecond: number): boolean {
  const quarterMs = WINDOW_MS / QUARTERS
  const quarters = Array.from({ length: QUARTERS }, (_, index) =>
    countBetween(goodAt, from + index * quarterMs, from + (index + 1) * quarterMs),
  )
  const sum = quarters.reduce((total, count) => total + count, 0)
  const expected = (ratePerSecond * WINDOW_MS) / 1000
  return (
    sum >= SHARE * expected &&
    quarters.every((count) => count >= (QUARTER_SHARE * expected) / QUARTERS)
  )
}

function countBetween(times: readonly number[], from: number, to: number): number {
  return firstFrom(times, to) - firstFrom(times, from)
}

/** The index of the first time that is `from` or later. */
function firstFrom(times: readonly number[], from: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] ?? 0) < from) low = middle + 1
    else high = middle
  }
  return low
}
