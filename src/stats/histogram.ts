// Runs in listeners. Counts values by their size.

/**
 * Upper bounds for times, in seconds: from a tenth of a millisecond, about what a request takes by itself, to the ten seconds
 * after which a request has its answer whatever it waits for.
 */
export const SECONDS: readonly number[] = [
  0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3,
  0.5, 1, 2, 3, 5, 10,
]

/** Adding a value allocates nothing, and takes some nanoseconds for a small one. */
export class Histogram {
  /** Increasing. */
  readonly bounds: readonly number[]
  /** Values up to each bound and above the bound before; behind them, those above all bounds. */
  readonly counts: Float64Array
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  add(value: number): void {
    const { bounds, counts } = this
    let at = 0
    while (at < bounds.length && value > (bounds[at] as number)) at += 1
    counts[at] = (counts[at] as number) + 1
    this.sum += value
  }
}
