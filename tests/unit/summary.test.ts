import { expect, test } from 'vitest'
import type { Run } from '../../bench/measure/run.ts'
import { summarizeRuns } from '../../bench/report/summary.ts'

const LATENCY = { count: 100, p50_us: 1, p90_us: 2, p99_us: 3, p999_us: 4, max_us: 5 }
const LOOP = { latency: LATENCY, errors: 0, generator_cpu: 0.1 }

function run(changes: Partial<Run> = {}): Run {
  return {
    server: 'a',
    scenario: 'mixed',
    round: 0,
    closed: { ...LOOP, requests_per_second: 100 },
    open: { ...LOOP, offered_per_second: 50, lateness_p99_us: 1 },
    ...changes,
  }
}

test('a row has no latencies when one of its rounds could not sustain the offered rate', () => {
  const { open: _open, ...without } = run()
  const row = summarizeRuns([run(), { ...without, unsustainable_per_second: 95 }])
  expect(row).toMatchObject({ unsustainable_per_second: 95, requests_per_second: { median: 100 } })
  expect(row.open_p99_us).toBeUndefined()
  expect(row.invalid).toBeUndefined()
})

test('a killed process makes a row invalid, and so do errors of the calm loop', () => {
  expect(summarizeRuns([run(), run({ oom_kills: 1 })]).invalid).toBe(
    'out of memory: 1 process killed',
  )
  const calm = { ...LOOP, offered_per_second: 50, lateness_p99_us: 1, errors: 2 }
  expect(summarizeRuns([run({ calm })]).invalid).toBe('2 requests failed')
})

test('a run without latencies still makes a row', () => {
  const row = summarizeRuns([run({ closed: { requests_per_second: 7, errors: 0 } })])
  expect(row).toMatchObject({ generator_limited: false, requests_per_second: { median: 7 } })
  expect(row.closed_p50_us).toBeUndefined()
})
