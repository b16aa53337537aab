// Runs in every process that serves. What a metric is, and how a table of them is read.
import type { Family, MetricType, Series } from '../../stats/families.ts'
import type { Histogram } from '../../stats/histogram.ts'

/** What a process has counted for some values of the labels. */
export type Reading = readonly [labels: readonly string[], value: number | Histogram]

export interface Metric<Source> {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly labels: readonly string[]
  /** Upper bounds of a histogram. */
  readonly bounds?: readonly number[]
  /** True when it says nothing of several processes together: the label `listener` then says whose it is. */
  readonly perProcess?: true
  /** May read the same labels several times: what was counted is added up. */
  readonly read: (source: Source) => Iterable<Reading>
}

/** Reads all metrics of a table. */
export function readFamilies<Source>(table: readonly Metric<Source>[], source: Source): Family[] {
  return table.map(({ name, type, perProcess = false, read }) => ({
    name,
    type,
    perProcess,
    series: Array.from(
      read(source),
      ([labels, value]): Series => ({ labels, values: valuesOf(value) }),
    ),
  }))
}

function valuesOf(value: number | Histogram): number[] {
  return typeof value === 'number' ? [value] : [...value.counts, value.sum]
}

/** Readings of a metric whose one label tells apart what an object counts. */
export function byName(values: Readonly<Record<string, number>>): Reading[] {
  return Object.entries(values).map(([name, value]) => [[name], value])
}
