import { expect, test } from 'vitest'
import type { Spread } from '../../bench/measure/spread.ts'
import { computeGoals, goalsTable } from '../../bench/report/goals.ts'
import type { GrowthReport } from '../../bench/report/growth.ts'
import type { Row } from '../../bench/report/summary.ts'

function fixed(value: number): Spread {
  return { median: value, min: value, max: value }
}

function row(server: string, scenario: string, figures: Partial<Row> = {}): Row {
  return { server, scenario, rounds: 1, generator_limited: false, ...figures }
}

function speed(server: string, scenario: string, perSecond: number): Row {
  return row(server, scenario, { requests_per_second: fixed(perSecond) })
}

/** The result of the one goal whose text contains this. */
function goal(text: string, rows: Row[], growth?: GrowthReport) {
  const found = computeGoals({ rows, growth }).filter(({ what }) => what.includes(text))
  expect(found).toHaveLength(1)
  return found[0]
}

const growth: GrowthReport = {
  date: '2026-01-01',
  commit: 'abc',
  command: '',
  machine: { cpu: '', cpus: 2, memory_bytes: 1, system: '', kernel: '', glibc: '', programs: {} },
  load: { connections: 1, warmupSeconds: 1, durationSeconds: 1 },
  rounds: 1,
  buffers_mb: 128,
  tasks_small: 100,
  tasks_large: 10_000,
  reads: [{ scenario: 'task-read', small: fixed(100), large: fixed(79), ratio: 0.79 }],
  pages: { user_tasks: 100, page: 5, missing: 'page 1 has no link to the next' },
}

test('a lower limit is met from the limit on, an upper limit up to it', () => {
  const reads = (ours: number) => [
    speed('taskapi', 'task-read', ours),
    speed('axum', 'task-read', 100),
  ]
  expect(goal("`task-read`: requests/s, to axum's", reads(200))).toMatchObject({
    met: 'yes',
    value: 2,
  })
  expect(goal("`task-read`: requests/s, to axum's", reads(199))).toMatchObject({ met: 'no' })
  const singles = (ours: number) => [
    row('taskapi', 'task-read-single', { closed_p50_us: fixed(ours) }),
    row('axum', 'task-read-single', { closed_p50_us: fixed(100) }),
  ]
  expect(goal('task-read-single', singles(115))).toMatchObject({ met: 'yes', measured: '1.15 x' })
  expect(goal('task-read-single', singles(116))).toMatchObject({ met: 'no' })
})

test('without rows, nothing is measured, and each goal says why', () => {
  const results = computeGoals({ rows: [], growth: undefined })
  expect(results.map(({ met }) => met)).toEqual(results.map(() => 'not measured'))
  for (const { measured } of results) expect(measured).toMatch(/is not in this run|was not run/)
  expect(goalsTable(results).rows).toHaveLength(results.length)
})

test('a row that cannot be trusted gives no ratio', () => {
  const rows = [
    speed('taskapi', 'task-read', 300),
    { ...speed('axum', 'task-read', 100), invalid: '3 requests failed' },
  ]
  expect(goal("`task-read`: requests/s, to axum's", rows)).toMatchObject({
    met: 'not measured',
    measured: 'axum: 3 requests failed',
  })
})

test('a ratio says which of its rows the load generator limited', () => {
  const rows = [
    { ...speed('taskapi', 'json-saturated', 600), generator_limited: true },
    speed('express', 'json-saturated', 100),
  ]
  expect(goal('json-saturated', rows)).toMatchObject({
    met: 'yes',
    measured: '6.00 x (generator-limited: taskapi)',
  })
})

test('a server that cannot sustain the rate misses its goal; if only the other one cannot, nothing is known', () => {
  const timed = (server: string) => row(server, 'mixed', { open_p99_us: fixed(1000) })
  const failing = (server: string) => row(server, 'mixed', { unsustainable_per_second: 5000 })
  const what = '`mixed`: p99'
  expect(goal(what, [failing('taskapi'), timed('axum')])).toMatchObject({ met: 'no' })
  expect(goal(what, [timed('taskapi'), failing('axum')])).toMatchObject({ met: 'not measured' })
})

test('a storm is compared with the same run without it', () => {
  const storm = row('taskapi', 'login-storm', {
    open_p99_us: fixed(1500),
    calm_p99_us: fixed(1000),
  })
  expect(goal('login-storm', [storm])).toMatchObject({ met: 'yes', measured: '1.50 x' })
})

test('memory and start are absolute', () => {
  const rows = [
    row('taskapi 2 listeners', 'mixed', {
      idle_cgroup_bytes: fixed(32e6),
      startup_ms: fixed(301),
    }),
    row('taskapi 1 listener', 'mixed', { idle_cgroup_bytes: fixed(14.2e6) }),
  ]
  expect(goal('idle, 2 listeners', rows)).toMatchObject({ met: 'yes', measured: '32.0 MB' })
  expect(goal('one listener: the same', rows)).toMatchObject({ met: 'no', measured: '14.2 MB' })
  expect(goal('start of 2 listeners', rows)).toMatchObject({ met: 'no', measured: '301 ms' })
})

test('64 MiB: missed when a process was killed, not measured without a cgroup, otherwise by the ratio', () => {
  const single = speed('taskapi 1 listener', 'mixed', 100)
  const confined = speed('taskapi 64 MiB', 'mixed', 90)
  expect(goal('in 64 MiB', [single, confined])).toMatchObject({ met: 'yes' })
  const killed = { ...confined, invalid: 'out of memory: 1 process killed' }
  expect(goal('in 64 MiB', [single, killed])).toMatchObject({
    met: 'no',
    measured: 'out of memory: 1 process killed',
  })
  const missing = 'not measured: no memory cgroup may be made here'
  expect(goal('in 64 MiB', [single, { ...confined, invalid: missing }])).toMatchObject({
    met: 'not measured',
  })
})

test('growth comes from its own report, page by page', () => {
  expect(goal('`task-read` in a large', [], growth)).toMatchObject({ met: 'no', value: 0.79 })
  expect(goal('`task-list` in a large', [], growth)).toMatchObject({ met: 'not measured' })
  expect(goal('by cursor', [], growth)).toMatchObject({
    met: 'not measured',
    measured: 'page 1 has no link to the next',
  })
  const pages = { ...growth.pages, cursor_ratio: 1.1 }
  expect(goal('by cursor', [], { ...growth, pages })).toMatchObject({ met: 'yes', value: 1.1 })
})
