import { expect, test } from 'vitest'
import type { Run } from '../../bench/measure/run.ts'
import { median } from '../../bench/measure/spread.ts'
import { renderComparison } from '../../bench/report/comparison.ts'
import { summarizeRuns } from '../../bench/report/summary.ts'
import { compareRuns, findObjections } from '../../bench/report/verdict.ts'

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
  expect(compareRuns('json', rounds(1)).verdicts.filter(({ slower }) => slower)).toEqual([])
})

test('a version that got faster is not slower', () => {
  expect(compareRuns('json', rounds(1.5)).verdicts.filter(({ slower }) => slower)).toEqual([])
})

test('a version that takes a quarter longer is slower, in every figure', () => {
  const { verdicts } = compareRuns('json', rounds(1 / 1.25))
  expect(verdicts.map(({ slower }) => slower)).toEqual([true, true, true])
})

test('a change that noise could have made is not called slower', () => {
  const noisy = rounds(1 / 1.25).map((entry) => {
    const factor = entry.server === 'base again' ? 1.4 : 1
    const { closed } = entry
    return {
      ...entry,
      closed: { ...closed, requests_per_second: closed.requests_per_second * factor },
    }
  })
  expect(compareRuns('json', noisy).verdicts[0]).toMatchObject({
    figure: 'requests/s',
    slower: false,
  })
})

/** Why these runs must not pass. */
function objections(runs: readonly Run[]): string[] {
  return findObjections([compareRuns('json', runs)])
}

/** The rounds of two equal versions, of which the runs of one server are changed. */
function changed(server: string, change: (run: Run) => Run[]): Run[] {
  return rounds(1).flatMap((entry) => (entry.server === server ? change(entry) : [entry]))
}

function withSpeed(entry: Run, requests_per_second: number): Run {
  return { ...entry, closed: { ...entry.closed, requests_per_second } }
}

function withoutOpenLoop({ open: _open, ...entry }: Run): Run {
  return entry
}

test('equal versions pass, and a slower one does not', () => {
  expect(objections(rounds(1))).toEqual([])
  expect(objections(rounds(1 / 1.25))).toEqual([
    expect.stringMatching(/^json: requests\/s changed by -\d+\.\d %, the noise is \+\d+\.\d %$/),
    expect.stringMatching(/^json: p99 us changed by \+/),
    expect.stringMatching(/^json: server CPU us changed by \+/),
  ])
})

test('a comparison without measurements does not pass', () => {
  expect(findObjections([])).toEqual(['no scenario was measured'])
  expect(objections([])).toEqual(['json: no round was measured'])
})

test.each(['base', 'base again', 'candidate'])('%s must have every round, once', (server) => {
  expect(objections(changed(server, () => []))).toHaveLength(JITTER.length)
  expect(objections(changed(server, (entry) => (entry.round === 2 ? [] : [entry])))).toEqual([
    `json: ${server} has 0 runs of round 3 instead of one`,
  ])
  expect(objections(changed(server, (entry) => [entry, entry]))).toHaveLength(JITTER.length)
})

test.each(['base', 'base again', 'candidate'])('%s must have every figure', (server) => {
  for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, 0, -1]) {
    const runs = changed(server, (entry) => [entry.round === 0 ? withSpeed(entry, broken) : entry])
    expect(objections(runs)).toEqual([`json: requests/s of ${server} in round 1 is ${broken}`])
  }
  const { server_cpu_us: _cpu, ...withoutCpu } = run(server, 1, 1)
  expect(objections(changed(server, (entry) => [entry.round === 1 ? withoutCpu : entry]))).toEqual([
    `json: server CPU us of ${server} in round 2 is missing`,
  ])
})

test('a version that alone cannot sustain the rate does not pass', () => {
  const runs = changed('candidate', (entry) => [
    entry.round === 5 ? { ...withoutOpenLoop(entry), unsustainable_per_second: 2000 } : entry,
  ])
  expect(objections(runs)).toEqual([
    'json: p99 us of candidate in round 6 is missing, because it cannot sustain 2000 requests/s (--rate-per-second)',
  ])
})

test('a figure that no version has is named, and the others count', () => {
  const comparison = compareRuns('json', rounds(1).map(withoutOpenLoop))
  expect(comparison.absent).toEqual(['p99 us'])
  expect(comparison.verdicts.map(({ figure }) => figure)).toEqual(['requests/s', 'server CPU us'])
  expect(findObjections([comparison])).toEqual([])
  const slower = compareRuns('json', rounds(1 / 1.25).map(withoutOpenLoop))
  expect(findObjections([slower])).toHaveLength(2)
})

test.each(['base', 'base again', 'candidate'])('no request of %s may fail', (server) => {
  const failing = changed(server, (entry) => [
    { ...entry, closed: { ...entry.closed, errors: entry.round === 3 ? 2 : 0 } },
  ])
  expect(objections(failing)).toEqual([`json: ${server}: 2 requests failed`])
})

test('one comparison without measurements fails them all', () => {
  const good = compareRuns('json', rounds(1))
  expect(findObjections([good, compareRuns('mixed', [])])).toEqual(['mixed: no round was measured'])
})

test('the table names what was not measured, and the outcome stands below it', () => {
  const comparison = compareRuns('json', rounds(1).map(withoutOpenLoop))
  const passed = renderComparison('a against b', [comparison], [])
  expect(passed).toContain('| json | p99 us |  |  |  |  | not measured |')
  expect(passed).toMatch(/\nPassed: .*\n$/)
  const failed = renderComparison('a against b', [], ['no scenario was measured'])
  expect(failed).toMatch(/\nFailed: no scenario was measured\n$/)
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
