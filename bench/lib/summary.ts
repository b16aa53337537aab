// From runs to rows: medians over the rounds, with their spread.
import type { Run } from './measure.ts'

export interface Spread {
  median: number
  min: number
  max: number
}

/** All rounds of one server in one scenario. */
export interface Row {
  server: string
  scenario: string
  rounds: number
  /** Why there are no figures, or none to trust. */
  invalid?: string
  /** True when the load generator used its CPU up, so that throughput and closed-loop latency are its own. */
  generator_limited: boolean
  requests_per_second?: Spread
  closed_p50_us?: Spread
  closed_p99_us?: Spread
  offered_per_second?: Spread
  open_p50_us?: Spread
  open_p90_us?: Spread
  open_p99_us?: Spread
  open_p999_us?: Spread
  open_max_us?: Spread
  lateness_p99_us?: Spread
  server_cpu_us?: Spread
  database_cpu_us?: Spread
  startup_ms?: Spread
  idle_rss_bytes?: Spread
  idle_pss_bytes?: Spread
  idle_anonymous_bytes?: Spread
  idle_cgroup_bytes?: Spread
  loaded_rss_bytes?: Spread
  loaded_pss_bytes?: Spread
  loaded_anonymous_bytes?: Spread
  loaded_cgroup_bytes?: Spread
}

/** From here on the generator's one thread is taken to have been the limit. */
const GENERATOR_BUSY = 0.9

const FIGURES: Record<string, (run: Run) => number | undefined> = {
  requests_per_second: (run) => run.closed.requests_per_second,
  closed_p50_us: (run) => run.closed.latency.p50_us,
  closed_p99_us: (run) => run.closed.latency.p99_us,
  offered_per_second: (run) => run.open?.offered_per_second,
  open_p50_us: (run) => run.open?.latency.p50_us,
  open_p90_us: (run) => run.open?.latency.p90_us,
  open_p99_us: (run) => run.open?.latency.p99_us,
  open_p999_us: (run) => run.open?.latency.p999_us,
  open_max_us: (run) => run.open?.latency.max_us,
  lateness_p99_us: (run) => run.open?.lateness_p99_us,
  server_cpu_us: (run) => run.server_cpu_us,
  database_cpu_us: (run) => run.database_cpu_us,
  startup_ms: (run) => run.startup_ms,
  idle_rss_bytes: (run) => run.idle?.rss_bytes,
  idle_pss_bytes: (run) => run.idle?.pss_bytes,
  idle_anonymous_bytes: (run) => run.idle?.anonymous_bytes,
  idle_cgroup_bytes: (run) => run.idle?.cgroup_bytes,
  loaded_rss_bytes: (run) => run.loaded?.rss_bytes,
  loaded_pss_bytes: (run) => run.loaded?.pss_bytes,
  loaded_anonymous_bytes: (run) => run.loaded?.anonymous_bytes,
  loaded_cgroup_bytes: (run) => run.loaded?.cgroup_bytes,
}

/** The row of runs that share server and scenario; there must be at least one. */
export function summarizeRuns(runs: readonly Run[]): Row {
  const [first] = runs
  if (!first) throw new Error('There is no run to summarise')
  const errors = runs.reduce((sum, run) => sum + run.closed.errors + (run.open?.errors ?? 0), 0)
  const figures = Object.entries(FIGURES).flatMap(([name, read]) => {
    const values = runs.map(read).filter((value) => value !== undefined)
    return values.length === 0 ? [] : [[name, spread(values)]]
  })
  return {
    server: first.server,
    scenario: first.scenario,
    rounds: runs.length,
    ...(errors > 0 ? { invalid: `${errors} requests failed` } : {}),
    generator_limited: median(runs.map((run) => run.closed.generator_cpu)) > GENERATOR_BUSY,
    ...Object.fromEntries(figures),
  }
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}
