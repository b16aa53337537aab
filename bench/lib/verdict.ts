// Whether a candidate is slower than a base, given how much the base differs from itself.
import type { Run } from './measure.ts'
import { median } from './summary.ts'

export interface Verdict {
  scenario: string
  figure: string
  /** Medians over the rounds. */
  base: number
  candidate: number
  /** Median over the rounds of candidate / base - 1: each round compares its own neighbours. */
  change: number
  /** How far the same comparison of base against base strays from 0. */
  noise: number
  slower: boolean
}

interface Figure {
  name: string
  read(run: Run): number | undefined
  /** The change for the worse that counts, as a share; below 0 when less is worse. */
  limit: number
}

const FIGURES: readonly Figure[] = [
  { name: 'requests/s', read: (run) => run.closed.requests_per_second, limit: -0.05 },
  { name: 'p99 us', read: (run) => run.open?.latency.p99_us, limit: 0.1 },
  { name: 'server CPU us', read: (run) => run.server_cpu_us, limit: 0.1 },
]

/** The verdicts of one scenario. `runs` hold rounds of the servers "base", "base again" and "candidate". */
export function compareRuns(scenario: string, runs: readonly Run[]): Verdict[] {
  return FIGURES.flatMap((figure) => {
    const values = (server: string) =>
      runs
        .filter((run) => run.server === server)
        .toSorted((a, b) => a.round - b.round)
        .map((run) => figure.read(run) ?? Number.NaN)
    const base = values('base')
    const candidate = values('candidate')
    if (base.some(Number.isNaN) || candidate.some(Number.isNaN)) return []
    const change = median(changes(base, candidate))
    const noise = spreadOf(changes(base, values('base again')))
    const slower = figure.limit < 0 ? change < figure.limit - noise : change > figure.limit + noise
    return [
      {
        scenario,
        figure: figure.name,
        base: median(base),
        candidate: median(candidate),
        change,
        noise,
        slower,
      },
    ]
  })
}

function changes(from: readonly number[], to: readonly number[]): number[] {
  return from.map((value, round) => (to[round] ?? Number.NaN) / value - 1)
}

/** The error of a median of such values: off-centre, and a standard error estimated from the median deviation. */
function spreadOf(values: readonly number[]): number {
  const centre = median(values)
  const deviation = median(values.map((value) => Math.abs(value - centre)))
  // 1.4826 makes it a standard deviation, 1.2533 that of a median, if the values are normally distributed.
  return Math.abs(centre) + (1.4826 * 1.2533 * deviation) / Math.sqrt(values.length)
}
