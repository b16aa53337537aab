// Latencies in microseconds, kept in an HdrHistogram, because autocannon's own histogram has whole milliseconds only.
import { build, type Histogram } from 'hdr-histogram-js'

const HIGHEST_US = 120_000_000

export interface LatencySummary {
  count: number
  p50_us: number
  p90_us: number
  p99_us: number
  p999_us: number
  max_us: number
}

/** Has three significant digits from 1 us to two minutes. */
export function createHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: 3,
  })
}

export function record(histogram: Histogram, milliseconds: number): void {
  histogram.recordValue(Math.min(HIGHEST_US, Math.max(1, Math.round(milliseconds * 1000))))
}

export function summarize(histogram: Histogram): LatencySummary {
  return {
    count: histogram.totalCount,
    p50_us: histogram.getValueAtPercentile(50),
    p90_us: histogram.getValueAtPercentile(90),
    p99_us: histogram.getValueAtPercentile(99),
    p999_us: histogram.getValueAtPercentile(99.9),
    max_us: histogram.maxValue,
  }
}
