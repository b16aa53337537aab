// Runs in the process that the user started: the figures that the command `top` shows, from two readings of a node.
import { findQuantile, findRates, type Labels, type Reading, select, sum } from './top-reading.ts'

/** Of one listener, or of all. `null` where nothing was measured. Names and units are part of `--json`. */
export interface ListenerFigures {
  readonly requests_per_second: number
  readonly p50_ms: number | null
  readonly p99_ms: number | null
  readonly shed_per_second: number
  readonly in_flight: number
  readonly queue_wait_p99_ms: number | null
  readonly calls_per_statement: number | null
  /** Of the listener that is busiest. */
  readonly event_loop_busy: number | null
  readonly resident_bytes: number
}

export interface RouteFigures {
  readonly method: string
  readonly route: string
  readonly requests_per_second: number
  readonly errors_per_second: number
}

export interface OperationFigures {
  readonly operation: string
  readonly calls_per_second: number
  readonly calls_per_statement: number | null
  readonly queue_wait_p50_ms: number | null
  readonly queue_wait_p99_ms: number | null
  readonly statement_p99_ms: number | null
  readonly waiting: number
  readonly in_flight: number
}

export interface Figures {
  readonly at: string
  readonly version: string
  readonly total: ListenerFigures
  readonly listeners: Readonly<Record<string, ListenerFigures>>
  readonly routes: readonly RouteFigures[]
  readonly operations: readonly OperationFigures[]
  /** Refusals per second, by their reason. */
  readonly shed: Readonly<Record<string, number>>
}

interface Interval {
  readonly rates: ReturnType<typeof findRates>
  readonly now: Reading
}

const MS_PER_SECOND = 1000

/** @param seconds that passed between the readings */
export function compareReadings(before: Reading, after: Reading, seconds: number): Figures {
  const interval = { rates: findRates(before, after, seconds), now: after }
  const listeners = distinct(interval, 'taskapi_http_requests_in_flight', 'listener')
  return {
    at: new Date().toISOString(),
    version: select(after.values(), 'taskapi_build_info')[0]?.labels.version ?? '',
    total: describeListeners(interval, {}),
    listeners: Object.fromEntries(
      listeners.map((listener) => [listener, describeListeners(interval, { listener })]),
    ),
    routes: describeRoutes(interval),
    operations: describeOperations(interval),
    shed: Object.fromEntries(
      distinct(interval, 'taskapi_http_shed_total', 'reason')
        .map((reason) => [reason, rate(interval, 'taskapi_http_shed_total', { reason })] as const)
        .filter(([, perSecond]) => perSecond > 0),
    ),
  }
}

function describeListeners(interval: Interval, labels: Labels): ListenerFigures {
  const busy = select(interval.now.values(), 'taskapi_event_loop_utilization', labels)
  return {
    requests_per_second: rate(interval, 'taskapi_http_requests_total', labels),
    p50_ms: quantileMs(interval, 0.5, 'taskapi_http_request_duration_seconds', labels),
    p99_ms: quantileMs(interval, 0.99, 'taskapi_http_request_duration_seconds', labels),
    shed_per_second: rate(interval, 'taskapi_http_shed_total', labels),
    in_flight: level(interval, 'taskapi_http_requests_in_flight', labels),
    queue_wait_p99_ms: quantileMs(interval, 0.99, 'taskapi_db_queue_wait_seconds', labels),
    calls_per_statement: mean(interval, 'taskapi_db_batch_calls', labels),
    event_loop_busy: busy.length === 0 ? null : Math.max(...busy.map(({ value }) => value)),
    resident_bytes: level(interval, 'taskapi_resident_bytes', labels),
  }
}

/** The busiest first; without those that nobody used. */
function describeRoutes(interval: Interval): RouteFigures[] {
  const routes = new Map<string, RouteFigures>()
  for (const { labels, value } of select(interval.rates, 'taskapi_http_requests_total')) {
    if (value === 0) continue
    const { method = '', route = '', status = '' } = labels
    const key = `${method} ${route}`
    const known = routes.get(key)
    routes.set(key, {
      method,
      route,
      requests_per_second: (known?.requests_per_second ?? 0) + value,
      errors_per_second: (known?.errors_per_second ?? 0) + (status.startsWith('5') ? value : 0),
    })
  }
  return [...routes.values()].sort(
    (one, other) => other.requests_per_second - one.requests_per_second,
  )
}

/** The busiest first; without those that nobody used. */
function describeOperations(interval: Interval): OperationFigures[] {
  return distinct(interval, 'taskapi_db_batch_calls_sum', 'operation')
    .map((operation) => ({
      operation,
      calls_per_second: rate(interval, 'taskapi_db_batch_calls_sum', { operation }),
      calls_per_statement: mean(interval, 'taskapi_db_batch_calls', { operation }),
      queue_wait_p50_ms: quantileMs(interval, 0.5, 'taskapi_db_queue_wait_seconds', { operation }),
      queue_wait_p99_ms: quantileMs(interval, 0.99, 'taskapi_db_queue_wait_seconds', { operation }),
      statement_p99_ms: quantileMs(interval, 0.99, 'taskapi_db_statement_duration_seconds', {
        operation,
      }),
      waiting: level(interval, 'taskapi_db_queue_calls', { operation }),
      in_flight: level(interval, 'taskapi_db_statements_in_flight', { operation }),
    }))
    .filter(
      ({ calls_per_second, waiting, in_flight }) => calls_per_second + waiting + in_flight > 0,
    )
    .sort((one, other) => other.calls_per_second - one.calls_per_second)
}

function distinct({ now }: Interval, name: string, label: string): string[] {
  const values = select(now.values(), name).flatMap(({ labels }) => labels[label] ?? [])
  return [...new Set(values)].sort((one, other) =>
    one.localeCompare(other, 'en', { numeric: true }),
  )
}

function rate({ rates }: Interval, name: string, labels: Labels): number {
  return sum(select(rates, name, labels))
}

function level({ now }: Interval, name: string, labels: Labels): number {
  return sum(select(now.values(), name, labels))
}

function mean(interval: Interval, name: string, labels: Labels): number | null {
  const count = rate(interval, `${name}_count`, labels)
  return count === 0 ? null : rate(interval, `${name}_sum`, labels) / count
}

function quantileMs(
  { rates }: Interval,
  share: number,
  name: string,
  labels: Labels,
): number | null {
  const seconds = findQuantile(share, select(rates, `${name}_bucket`, labels))
  return seconds === undefined ? null : seconds * MS_PER_SECOND
}
