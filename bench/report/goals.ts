// What this service is meant to reach, and whether a report shows it: ratios of medians within one run, and a few
// absolute figures.
import type { Spread } from '../measure/spread.ts'
import { NOT_MEASURED } from '../measure/suite.ts'
import { OURS } from '../servers/ours.ts'
import { PGBENCH } from '../servers/pgbench.ts'
import { count, ratio, type Table } from './format.ts'
import type { GrowthReport } from './growth.ts'
import type { Row } from './summary.ts'

/** What a goal is computed from. */
export interface Evidence {
  rows: readonly Row[]
  growth: GrowthReport | undefined
}

export interface GoalResult {
  what: string
  goal: string
  measured: string
  met: 'yes' | 'no' | 'not measured'
  /** In the goal's unit. */
  value?: number
}

interface Goal {
  what: string
  /** The goal in words: limit and unit. */
  goal: string
  limit: Limit
  measure: (evidence: Evidence) => Measurement
  format: (value: number) => string
}

interface Limit {
  atMost?: number
  atLeast?: number
}

/** A value with an optional remark; `failed` and `missing` say why there is no value. */
type Measurement = { value: number; remark?: string } | { failed: string } | { missing: string }

type FigureName = {
  [Name in keyof Row]-?: Spread extends Row[Name] ? Name : never
}[keyof Row]

type Figure = readonly [server: string, scenario: string, name: FigureName]

const MB = 1e6
const CONFINED = `${OURS} 64 MiB`
const SINGLE = `${OURS} 1 listener`
const WHOLE = `${OURS} 2 listeners`
const OPEN_SCENARIOS = ['task-read', 'task-list', 'task-create', 'task-patch', 'mixed']

const FIGURE_WORDS: Partial<Record<FigureName, string>> = {
  server_cpu_us: 'server CPU per request',
  requests_per_second: 'requests/s',
  open_p99_us: 'p99 at the same offered rate',
  closed_p50_us: 'closed p50',
}

const GOALS: readonly Goal[] = [
  against('axum', 'json', 'server_cpu_us', { atMost: 1.15 }),
  against('actix-web', 'json', 'server_cpu_us', { atMost: 1.25 }),
  against('express', 'json-saturated', 'requests_per_second', { atLeast: 5.3 }),
  against('express', 'json', 'open_p99_us', { atMost: 0.2 }),
  against('axum', 'task-read', 'requests_per_second', { atLeast: 2 }),
  against(PGBENCH, 'task-read', 'requests_per_second', { atLeast: 1.5 }),
  against('axum', 'task-list', 'requests_per_second', { atLeast: 1.5 }),
  against('axum', 'task-create', 'requests_per_second', { atLeast: 3 }),
  against('axum', 'task-patch', 'requests_per_second', { atLeast: 3 }),
  against(PGBENCH, 'task-create', 'requests_per_second', { atLeast: 4 }),
  against('axum', 'mixed', 'requests_per_second', { atLeast: 2 }),
  against('express', 'mixed', 'requests_per_second', { atLeast: 8 }),
  ...OPEN_SCENARIOS.map((scenario) => against('axum', scenario, 'open_p99_us', { atMost: 1 })),
  against('axum', 'task-read-single', 'closed_p50_us', { atMost: 1.15 }),
  compare('`login-storm`: p99 with the storm, to without', { atMost: 1.5 }, [
    [OURS, 'login-storm', 'open_p99_us'],
    [OURS, 'login-storm', 'calm_p99_us'],
  ]),
  compare("`taskapi unbatched` in `mixed`: requests/s, to axum's", { atLeast: 1 }, [
    [`${OURS} unbatched`, 'mixed', 'requests_per_second'],
    ['axum', 'mixed', 'requests_per_second'],
  ]),
  absolute(
    'idle, 2 listeners and supervisor: anonymous and kernel memory of their cgroup',
    { atMost: 32 },
    'MB',
    [WHOLE, 'mixed', 'idle_cgroup_bytes'],
    MB,
  ),
  absolute(
    'idle, one listener: the same',
    { atMost: 14 },
    'MB',
    [SINGLE, 'mixed', 'idle_cgroup_bytes'],
    MB,
  ),
  {
    what: "`mixed` in 64 MiB: requests/s, to one listener's without a limit",
    goal: 'no out-of-memory kill, no error, >= 0.9 x',
    limit: { atLeast: 0.9 },
    measure: measureConfined,
    format: times,
  },
  absolute(
    'start of 2 listeners to the first answer, database up',
    { atMost: 300 },
    'ms',
    [WHOLE, 'mixed', 'startup_ms'],
    1,
  ),
  ...['task-read', 'task-list'].map((scenario) =>
    grown(
      `\`${scenario}\` in a large database, to a small one: requests/s`,
      { atLeast: 0.8 },
      ({ reads, tasks_small, tasks_large }) => ({
        value: reads.find((entry) => entry.scenario === scenario)?.ratio,
        of: `${count(tasks_large)} tasks to ${count(tasks_small)}`,
      }),
    ),
  ),
  grown('page 10 000 by cursor, to page 1: p50', { atMost: 1.2 }, ({ pages }) => ({
    value: pages.cursor_ratio,
    of: `page ${count(pages.page)} of ${count(pages.user_tasks)} tasks`,
  })),
]

export function computeGoals(evidence: Evidence): GoalResult[] {
  return GOALS.map(({ what, goal, limit, measure, format }) => {
    const found = measure(evidence)
    if ('missing' in found) return { what, goal, measured: found.missing, met: 'not measured' }
    if ('failed' in found) return { what, goal, measured: found.failed, met: 'no' }
    const { value, remark } = found
    const measured = format(value) + (remark ? ` (${remark})` : '')
    return { what, goal, measured, met: isWithin(value, limit) ? 'yes' : 'no', value }
  })
}

export function goalsTable(goals: readonly GoalResult[]): Table {
  return {
    title: 'Goals',
    about:
      'Ratios are of medians within this run. Those of a large database come from `npm run bench:growth`.',
    head: ['what', 'goal', 'measured', 'met'],
    rows: goals.map(({ what, goal, measured, met }) => [
      what,
      goal,
      measured,
      met === 'no' ? '**no**' : met,
    ]),
  }
}

/** This service against `peer` in one figure. */
function against(peer: string, scenario: string, name: FigureName, limit: Limit): Goal {
  const what = `\`${scenario}\`: ${FIGURE_WORDS[name] ?? name}, to ${peer}'s`
  return compare(what, limit, [
    [OURS, scenario, name],
    [peer, scenario, name],
  ])
}

function compare(what: string, limit: Limit, [figure, to]: readonly [Figure, Figure]): Goal {
  return {
    what,
    goal: inWords(limit, 'x'),
    limit,
    measure: ({ rows }) => measureRatio(rows, figure, to),
    format: times,
  }
}

function absolute(what: string, limit: Limit, unit: string, figure: Figure, divisor: number): Goal {
  return {
    what,
    goal: inWords(limit, unit),
    limit,
    measure: ({ rows }) => {
      const found = readFigure(rows, figure)
      return 'value' in found ? { value: found.value / divisor } : found
    },
    format: (value) => `${value.toFixed(unit === 'MB' ? 1 : 0)} ${unit}`,
  }
}

function grown(
  what: string,
  limit: Limit,
  read: (growth: GrowthReport) => { value: number | undefined; of: string },
): Goal {
  return {
    what,
    goal: inWords(limit, 'x'),
    limit,
    measure: ({ growth }) => {
      if (!growth) return { missing: 'npm run bench:growth was not run' }
      const { value, of } = read(growth)
      if (value === undefined) return { missing: growth.pages.missing ?? 'not in growth.json' }
      return { value, remark: `${of}, at ${growth.commit}` }
    },
    format: times,
  }
}

function measureRatio(rows: readonly Row[], figure: Figure, to: Figure): Measurement {
  const found = readFigure(rows, figure)
  if (!('value' in found)) return found
  const reference = readFigure(rows, to)
  // It says nothing about this service that the other one cannot sustain the rate.
  if ('failed' in reference) return { missing: reference.failed }
  if ('missing' in reference) return reference
  const limited = [figure, to].filter(([server, scenario]) =>
    rows.some((row) => row.server === server && row.scenario === scenario && row.generator_limited),
  )
  const servers = limited.map(([server]) => server).join(', ')
  const remark = limited.length > 0 ? { remark: `generator-limited: ${servers}` } : {}
  return { value: found.value / reference.value, ...remark }
}

function measureConfined({ rows }: Evidence): Measurement {
  const row = rows.find(({ server }) => server === CONFINED)
  // A row that was tried and is invalid was killed or had failed requests: that is what the goal forbids.
  if (row?.invalid && !row.invalid.startsWith(NOT_MEASURED)) return { failed: row.invalid }
  return measureRatio(
    rows,
    [CONFINED, 'mixed', 'requests_per_second'],
    [SINGLE, 'mixed', 'requests_per_second'],
  )
}

function readFigure(
  rows: readonly Row[],
  [server, scenario, name]: Figure,
): { value: number } | { failed: string } | { missing: string } {
  const row = rows.find((entry) => entry.server === server && entry.scenario === scenario)
  if (!row) return { missing: `${server} is not in this run's ${scenario}` }
  if (row.invalid) return { missing: `${server}: ${row.invalid}` }
  const spread = row[name]
  if (spread) return { value: spread.median }
  return row.unsustainable_per_second
    ? { failed: `${server} cannot sustain the rate` }
    : { missing: `${server}: no figure` }
}

function isWithin(value: number, { atMost, atLeast }: Limit): boolean {
  return value <= (atMost ?? Infinity) && value >= (atLeast ?? -Infinity)
}

function inWords({ atMost, atLeast }: Limit, unit: string): string {
  return atMost === undefined ? `>= ${atLeast} ${unit}` : `<= ${atMost} ${unit}`
}

function times(value: number): string {
  return ratio(value, 1)
}
