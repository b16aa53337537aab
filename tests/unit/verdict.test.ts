import { expect, test } from 'vitest'
import type { Run } from '../../bench/measure/run.ts'
import { median, summarizeRuns } from '../../bench/report/summary.ts'
import { compareRuns } from '../../bench/report/verdict.ts'

const JITTER = [0.01, -0.02, 0.015, -0.01, 0.02, -0.015]

function run(server: string, round: number, speed: number): Run {
  const latency = {
    count: 1000,
    p50_us: 100,
    p90_us: 200,
    p99_us: 1000 / speed,
    p999_us: 900,
    max_us: 950,
  }
  return {
    server,
    scenario: 'json',
    round,
    closed: { requests_per_second: 10_000 * speed, latency, errors: 0, generator_cpu: 0.5 },
    open: { offered_per_second: 2000, latency, lateness_p99_us: 20, errors: 0, generator_cpu: 0.3 },
    server_cpu_us: 10 / speed,
  }
}

/** Rounds of base, base again, and a candidate that has `speed` times the base's. */
function rounds(speed: number): Run[] {
  return JITTER.flatMap((jitter, round) => [
    run('base', round, 1 + jitter),
    run('base again', round, 1 + (JITTER[5 - round] ?? 0)),
    run('candidate', round, speed * (1 - jitter / 2)),
  ])
}

test('the same version is not slower', () => {
  expect(compareRuns('json', rounds(1)).filter(({ slower }) => slower)).toEqual([])
})

test('a version that got faster is not slower', () => {
  expect(compareRuns('json', rounds(1.5)).filter(({ slower }) => slower)).toEqual([])
})

test('a version that takes a fifth more is slower, in every figure', () => {
  const verdicts = compareRuns('json', rounds(1 / 1.25))
  expect(verdicts.map(({ slower }) => slower)).toEqual([true, true, true])
})

test('noise hides what it could have made', () => {
  const noisy = rounds(1 / 1.25).map((entry) => {
    const factor = entry.server === 'base again' ? 1.4 : 1
    const { closed } = entry
    return {
      ...entry,
      closed: { ...closed, requests_per_second: closed.requests_per_second * factor },
    }
  })
  expect(compareRuns('json', noisy)[0]).toMatchObject({ figure: 'requests/s', slower: false })
})

test('a row is the median of its rounds, and invalid when a request failed', () => {
  const runs = [run('a', 0, 1), run('a', 1, 3), run('a', 2, 2)]
  const row = summarizeRuns(runs)
  expect(row.requests_per_second).toEqual({ median: 20_000, min: 10_000, max: 30_000 })
  expect(row.invalid).toBeUndefined()
  const failed = runs.map((entry) => ({ ...entry, closed: { ...entry.closed, errors: 1 } }))
  expect(summarizeRuns(failed).invalid).toBe('3 requests failed')
})

test('the median of an even number is between its two middles', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5)
})
