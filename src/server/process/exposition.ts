// Runs in the process that the user started, once somebody reads the metrics. Writes them in the forms that Prometheus reads.
import Registry from '@prometheus-io/client/lib/registry.js'
import type { Family, Series } from '../../stats/families.ts'
import type { Metric } from './metric.ts'
import { METRICS } from './metrics-table.ts'

const OPEN_METRICS = /application\/openmetrics-text/i

export interface Exposition {
  contentType: string
  text: string
}

/** @param accept the header of that name: whoever can read OpenMetrics 1.0 gets it, others the text format of Prometheus */
export async function writeMetrics(
  families: readonly Family[],
  accept: string,
): Promise<Exposition> {
  const isOpen = OPEN_METRICS.test(accept)
  const contentType = isOpen ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE
  const registry = new Registry(contentType)
  const byName = new Map(families.map((family) => [family.name, family]))
  for (const metric of METRICS) {
    const { help, type } = metric
    // OpenMetrics names a counter without its suffix, which the registry then writes behind it.
    const name = isOpen && type === 'counter' ? metric.name.replace(/_total$/, '') : metric.name
    const { series = [], perProcess = false } = byName.get(metric.name) ?? {}
    const names = perProcess && !metric.perProcess ? ['listener', ...metric.labels] : metric.labels
    const values = series.flatMap((each) => samplesOf(metric, names, each))
    registry.registerMetric({ name, help, type, get: () => ({ name, help, type, values }) })
  }
  return { contentType, text: await registry.metrics() }
}

function samplesOf(
  metric: Metric<never>,
  names: readonly string[],
  { labels, values }: Series,
): Registry.Sample[] {
  const named = Object.fromEntries(names.map((name, at) => [name, labels[at] ?? '']))
  if (!metric.bounds) return [{ labels: named, value: values[0] ?? 0 }]
  let count = 0
  const buckets = [...metric.bounds, Number.POSITIVE_INFINITY].map((bound, at): Registry.Sample => {
    count += values[at] ?? 0
    return {
      metricName: `${metric.name}_bucket`,
      labels: { ...named, le: floatText(bound) },
      value: count,
    }
  })
  return [
    ...buckets,
    { metricName: `${metric.name}_sum`, labels: named, value: values.at(-1) ?? 0 },
    { metricName: `${metric.name}_count`, labels: named, value: count },
  ]
}

/** As OpenMetrics wants it; and the same in the other format, because it names the series. */
function floatText(bound: number): string {
  if (bound === Number.POSITIVE_INFINITY) return '+Inf'
  return Number.isInteger(bound) ? `${bound}.0` : String(bound)
}
