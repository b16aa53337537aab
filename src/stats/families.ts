// Runs in every process. The metrics of a process at one moment, as plain JSON, and how those of several become one.

export type MetricType = 'counter' | 'gauge' | 'histogram'

/** The values of a metric for one combination of labels. */
export interface Series {
  /** The values of the labels, in the order of the metric's declaration. */
  readonly labels: readonly string[]
  /** One number; of a histogram, the count of each bucket by itself, and behind them the sum of the values. */
  readonly values: readonly number[]
}

/** All series of one metric. */
export interface Family {
  readonly name: string
  readonly type: MetricType
  /** True when processes are not added up: the name of the process becomes the first label. */
  readonly perProcess: boolean
  readonly series: readonly Series[]
}

/** What one process has counted. */
export interface Part {
  readonly process: string
  readonly families: readonly Family[]
}

/** The sums over all processes; metrics that are not added up keep a series for each. */
export function mergeParts(parts: readonly Part[]): Family[] {
  const merged = new Map<string, { family: Family; sums: Map<string, Series> }>()
  for (const { process, families } of parts) {
    for (const family of families) {
      const { sums } = merged.get(family.name) ?? { sums: new Map<string, Series>() }
      merged.set(family.name, { family, sums })
      for (const { labels: own, values } of family.series) {
        const labels = family.perProcess ? [process, ...own] : own
        const key = JSON.stringify(labels)
        sums.set(key, { labels, values: addUp(sums.get(key)?.values, values) })
      }
    }
  }
  return [...merged.values()].map(({ family, sums }) => ({ ...family, series: [...sums.values()] }))
}

/** Every process by itself, also where `mergeParts` would add them up. */
export function listParts(parts: readonly Part[]): Family[] {
  return mergeParts(
    parts.map(({ process, families }) => ({
      process,
      families: families.map((family) => ({ ...family, perProcess: true })),
    })),
  )
}

/** What stays true of a process that has ended: what it has counted, but not what it had or held. */
export function lastingOf(families: readonly Family[]): Family[] {
  return families.filter(({ type, perProcess }) => type !== 'gauge' && !perProcess)
}

function addUp(sum: readonly number[] | undefined, values: readonly number[]): readonly number[] {
  if (!sum) return values
  return values.map((value, at) => value + (sum[at] ?? 0))
}
