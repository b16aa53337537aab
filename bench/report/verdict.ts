// Whether a candidate is slower than a base, given how much the base differs from itself.
import type { Run } from '../measure/run.ts'
import { median } from '../measure/spread.ts'
import { percent } from './format.ts'
import { whyInvalid } from './summary.ts'

/** The base is measured twice, so that the noise is known. */
export const SIDES = ['base', 'base again', 'candidate'] as const

type Side = (typeof SIDES)[number]

/** One figure of one scenario. */
export interface Verdict {
  scenario: string
  figure: string
  /** Medians over the rounds. */
  base: number
  candidate: number
  /** Median over the rounds of candidate / base - 1: each round compares runs that were neighbours in time. */
  change: number
  /** How far base against base strays from 0, and the error of both comparisons. */
  noise: number
  slower: boolean
}

/** One scenario. */
export interface Comparison {
  scenario: string
  verdicts: Verdict[]
  /** Figures that no side has, because no open loop was run in this scenario. */
  absent: string[]
  /** Why figures cannot be compared that should be. Any gap makes the comparison worthless. */
  gaps: string[]
}

interface Figure {
  name: string
  read(run: Run): number | undefined
  /** The change for the worse that counts, as a share; below 0 when less is worse. */
  limit: number
  /** True for a figure that some scenarios do not have. */
  optional?: true
}

const FIGURES: readonly Figure[] = [
  { name: 'requests/s', read: (run) => run.closed.requests_per_second, limit: -0.05 },
  { name: 'p99 us', read: (run) => run.open?.latency.p99_us, limit: 0.1, optional: true },
  { name: 'server CPU us', read: (run) => run.server_cpu_us, limit: 0.1 },
]

/** Standard errors that a change must exceed on top of its limit. */
const CONFIDENCE = 2

/** Compares the sides in one scenario. Each must have one run of each round. */
export function compareRuns(scenario: string, runs: readonly Run[]): Comparison {
  const comparison: Comparison = { scenario, verdicts: [], absent: [], gaps: [] }
  const rounds = [...new Set(runs.map(({ round }) => round))].toSorted((a, b) => a - b)
  comparison.gaps.push(...findMissingRuns(runs, rounds), ...findFailures(runs))
  if (comparison.gaps.length > 0) return comparison
  for (const figure of FIGURES) {
    const found = readFigure(figure, runs, rounds)
    if (found.gaps.length === 0) {
      comparison.verdicts.push({ scenario, figure: figure.name, ...compare(figure, found.values) })
    } else if (figure.optional && runs.every((run) => figure.read(run) === undefined)) {
      comparison.absent.push(figure.name)
    } else {
      comparison.gaps.push(...found.gaps)
    }
  }
  return comparison
}

/** Why the candidate must not pass; empty when it may. Comparisons that show nothing let nothing pass. */
export function findObjections(comparisons: readonly Comparison[]): string[] {
  const objections = comparisons.flatMap(({ scenario, verdicts, gaps }) => [
    ...gaps.map((gap) => `${scenario}: ${gap}`),
    ...(verdicts.length === 0 && gaps.length === 0 ? [`${scenario}: no figure was measured`] : []),
    ...verdicts
      .filter(({ slower }) => slower)
      .map(
        ({ figure, change, noise }) =>
          `${scenario}: ${figure} changed by ${percent(change)}, the noise is ${percent(noise)}`,
      ),
  ])
  return comparisons.length === 0 ? ['no scenario was measured'] : objections
}

function findMissingRuns(runs: readonly Run[], rounds: readonly number[]): string[] {
  if (rounds.length === 0) return ['no round was measured']
  return SIDES.flatMap((side) =>
    rounds.flatMap((round) => {
      const found = runs.filter((run) => run.server === side && run.round === round).length
      return found === 1 ? [] : [`${side} has ${found} runs of round ${round + 1} instead of one`]
    }),
  )
}

function findFailures(runs: readonly Run[]): string[] {
  return SIDES.flatMap((side) => {
    const reason = whyInvalid(runs.filter(({ server }) => server === side))
    return reason === undefined ? [] : [`${side}: ${reason}`]
  })
}

/** The values of each side in the order of the rounds, and what is wrong with those that are no figures. */
function readFigure(
  figure: Figure,
  runs: readonly Run[],
  rounds: readonly number[],
): { values: Record<Side, number[]>; gaps: string[] } {
  const values: Record<Side, number[]> = { base: [], 'base again': [], candidate: [] }
  const gaps: string[] = []
  for (const side of SIDES) {
    for (const round of rounds) {
      const run = runs.find((entry) => entry.server === side && entry.round === round)
      const value = run && figure.read(run)
      if (value !== undefined && Number.isFinite(value) && value > 0) values[side].push(value)
      else gaps.push(`${figure.name} of ${side} in round ${round + 1} is ${explain(value, run)}`)
    }
  }
  return { values, gaps }
}

function explain(value: number | undefined, run: Run | undefined): string {
  const rate = run?.unsustainable_per_second
  if (value !== undefined) return String(value)
  return rate === undefined
    ? 'missing'
    : `missing, because it cannot sustain ${rate} requests/s (--rate-per-second)`
}

function compare(
  { limit }: Figure,
  values: Record<Side, readonly number[]>,
): Omit<Verdict, 'scenario' | 'figure'> {
  const { base, candidate } = values
  const { change, error } = relative(base, candidate)
  const itself = relative(base, values['base again'])
  const noise = Math.abs(itself.change) + CONFIDENCE * Math.hypot(itself.error, error)
  const slower = limit < 0 ? change < limit - noise : change > limit + noise
  return { base: median(base), candidate: median(candidate), change, noise, slower }
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
