// Whether a candidate is slower than a base, given how much the base differs from itself.
import type { Run } from '../measure/run.ts'
import { median } from './summary.ts'

export interface Verdict {
  scenario: string
  figure: string
  /** Medians over the rounds. */
  base: number
  candidate: number
  /** Median over the rounds of candidate / base - 1: each round compares its own neighbours. */
  change: number
  /** How far base against base strays from 0, and the error of both comparisons. */
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

/** Standard errors that a change must exceed on top of its limit. */
const CONFIDENCE = 2

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
    const found = relative(base, candidate)
    const itself = relative(base, values('base again'))
    const noise = Math.abs(itself.change) + CONFIDENCE * Math.hypot(itself.error, found.error)
    const slower =
      figure.limit < 0 ? found.change < figure.limit - noise : found.change > figure.limit + noise
    return [
      {
        scenario,
        figure: figure.name,
        base: median(base),
        candidate: median(candidate),
        change: found.change,
        noise,
        slower,
      },
    ]
  })
}

/** How `to` differs from `from`, round by round: the median change, and the standard error of that median. */
function relative(
  from: readonly number[],
  to: readonly number[],
): { change: number; error: number } {
  const changes = from.map((value, round) => (to[round] ?? Number.NaN) / value - 1)
  const change = median(changes)
  const deviation = median(changes.map((value) => Math.abs(value - change)))
  // 1.4826 makes it a standard deviation, 1.2533 that of a median, if the values are normally distributed.
  return { change, error: (1.4826 * 1.2533 * deviation) / Math.sqrt(changes.length) }
}
