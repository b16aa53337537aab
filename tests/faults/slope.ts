// How fast a series rises, when it moves in steps and its noise is not normal: the estimator of Theil and Sen, with an
// interval by Kendall's statistic (P. K. Sen, 1968, "Estimates of the regression coefficient based on Kendall's tau").

export interface Sample {
  /** The unit is the caller's: a slope is per one of it. */
  at: number
  value: number
}

export interface Slope {
  /** The median of the slopes between any two blocks. */
  median: number
  /** The bounds of the interval that has the true slope with 95 % confidence; infinite for fewer than six blocks. */
  lower: number
  upper: number
}

/** Half of what is outside of 95 % is on either side. */
const NORMAL_QUANTILE = 1.96

/** Means of consecutive samples: what one sample tells of the next is mostly within a block. */
export function blockMeans(samples: readonly Sample[], blocks: number): Sample[] {
  return splitInto(samples, blocks).map((block) => ({
    at: mean(block.map(({ at }) => at)),
    value: mean(block.map(({ value }) => value)),
  }))
}

export function slopeOf(samples: readonly Sample[]): Slope {
  const slopes = slopesBetween(samples).toSorted((left, right) => left - right)
  const sd = Math.sqrt(kendallVariance(samples.map(({ value }) => value)))
  // How many of the lowest slopes, and of the highest, are outside. Rounded down, the interval is rather too wide.
  const outside = Math.floor((slopes.length - NORMAL_QUANTILE * sd) / 2)
  return {
    median: medianOfSorted(slopes),
    lower: slopes[outside - 1] ?? Number.NEGATIVE_INFINITY,
    upper: slopes[slopes.length - outside] ?? Number.POSITIVE_INFINITY,
  }
}

/** So many parts of the same length, or as many as there are items; the first have one more when it does not divide. */
export function splitInto<Item>(items: readonly Item[], parts: number): Item[][] {
  const count = Math.min(parts, items.length)
  const start = (part: number) => Math.ceil((part * items.length) / count)
  return Array.from({ length: count }, (_, part) => items.slice(start(part), start(part + 1)))
}

export function medianOf(values: readonly number[]): number {
  return medianOfSorted(values.toSorted((left, right) => left - right))
}

function medianOfSorted(sorted: readonly number[]): number {
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  const high = sorted[Math.floor(middle)] ?? Number.NaN
  return (low + high) / 2
}

function slopesBetween(samples: readonly Sample[]): number[] {
  return samples.flatMap((later, index) =>
    samples.slice(0, index).map(({ at, value }) => (later.value - value) / (later.at - at)),
  )
}

/** Of the number of rises less the number of falls, if there were no slope; equal values are neither. */
function kendallVariance(values: readonly number[]): number {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  const ties = [...counts.values()].reduce((sum, count) => sum + varianceTerm(count), 0)
  return (varianceTerm(values.length) - ties) / 18
}

function varianceTerm(count: number): number {
  return count * (count - 1) * (2 * count + 5)
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
