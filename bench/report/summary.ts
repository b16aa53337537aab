// Turns runs into rows: medians over the rounds, with their spread.
import type { Run } from '../measure/run.ts'
import { median, type Spread, spread } from '../measure/spread.ts'
import { NOT_MEASURED, type SuiteResult } from '../measure/suite.ts'
import { describeKills } from '../servers/memory-cgroup.ts'

/** All rounds of one server in one scenario. */
export interface Row {
  server: string
  scenario: string
  rounds: number
  /** Why there are no figures, or none to trust. */
  invalid?: string
  /** True when the load generator used up its CPU, so that throughput and closed-loop latency are its own. */
  generator_limited: boolean
  requests_per_second?: Spread
  /** The rate that the server could not have sustained in one of the rounds; then no open loop has figures. */
  unsustainable_per_second?: number
  closed_p50_us?: Spread
  closed_p90_us?: Spread
  closed_p99_us?: Spread
  offered_per_second?: Spread
  open_p50_us?: Spread
  open_p90_us?: Spread
  open_p99_us?: Spread
  open_p999_us?: Spread
  open_max_us?: Spread
  /** Without the background load, at the same rate. */
  calm_p99_us?: Spread
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
  cgroup_peak_bytes?: Spread
}

/** Share of one CPU above which the generator's only thread is taken to have been the limit. */
const GENERATOR_BUSY = 0.9

const FIGURES: Record<string, (run: Run) => number | undefined> = {
  requests_per_second: (run) => run.closed.requests_per_second,
  closed_p50_us: (run) => run.closed.latency?.p50_us,
  closed_p90_us: (run) => run.closed.latency?.p90_us,
  closed_p99_us: (run) => run.closed.latency?.p99_us,
  offered_per_second: (run) => run.open?.offered_per_second,
  open_p50_us: (run) => run.open?.latency.p50_us,
  open_p90_us: (run) => run.open?.latency.p90_us,
  open_p99_us: (run) => run.open?.latency.p99_us,
  open_p999_us: (run) => run.open?.latency.p999_us,
  open_max_us: (run) => run.open?.latency.max_us,
  calm_p99_us: (run) => run.calm?.latency.p99_us,
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
  cgroup_peak_bytes: (run) => run.loaded?.cgroup_peak_bytes,
}

/** One row for each entry, in their order. */
export function makeRows({ entries, runs }: Pick<SuiteResult, 'entries' | 'runs'>): Row[] {
  return entries.map(({ server, scenario, complaint }) => {
    const own = runs.filter((run) => run.server === server && run.scenario === scenario)
    const row =
      own.length > 0
        ? summarizeRuns(own)
        : { server, scenario, rounds: 0, generator_limited: false, invalid: NOT_MEASURED }
    return complaint ? { ...row, invalid: complaint } : row
  })
}

/** The row of runs that share server and scenario; there must be at least one. */
export function summarizeRuns(runs: readonly Run[]): Row {
  const [first] = runs
  if (!first) throw new Error('There is no run to summarise')
  const unsustainable = runs.find((run) => run.unsustainable_per_second !== undefined)
  // The rounds that did sustain the rate would be the better ones, not typical ones.
  const counted = unsustainable ? runs.map(withoutOpenLoop) : runs
  const figures = Object.entries(FIGURES).flatMap(([name, read]) => {
    const values = counted.map(read).filter((value) => value !== undefined)
    return values.length === 0 ? [] : [[name, spread(values)]]
  })
  const invalid = whyInvalid(runs)
  const busy = runs.map((run) => run.closed.generator_cpu ?? 0)
  return {
    server: first.server,
    scenario: first.scenario,
    rounds: runs.length,
    ...(invalid ? { invalid } : {}),
    generator_limited: median(busy) > GENERATOR_BUSY,
    ...(unsustainable ? { unsustainable_per_second: unsustainable.unsustainable_per_second } : {}),
    ...Object.fromEntries(figures),
  }
}

function withoutOpenLoop({ open: _open, calm: _calm, ...run }: Run): Run {
  return run
}

/** Why the figures of these runs cannot be trusted, or `undefined`. */
export function whyInvalid(runs: readonly Run[]): string | undefined {
  const sum = (read: (run: Run) => number | undefined) =>
    runs.reduce((total, run) => total + (read(run) ?? 0), 0)
  const kills = sum((run) => run.oom_kills)
  if (kills > 0) return describeKills(kills)
  const errors = sum(({ closed, open, calm }) =>
    [closed, open, calm].reduce((total, loop) => total + (loop?.errors ?? 0), 0),
  )
  return errors > 0 ? `${errors} requests failed` : undefined
}
