// Runs in the process that the user started: what the command `top` shows for people, in 80 columns.
import { styleText } from 'node:util'
import type { Figures, ListenerFigures, OperationFigures, RouteFigures } from './top-figures.ts'

const SCREEN_COLUMNS = 80
/** Of a machine with many CPUs, the busiest ones. */
const LISTENERS_MAX = 8
const BYTES_PER_MB = 1e6

interface Column<Row> {
  readonly title: string
  readonly width: number
  readonly show: (row: Row) => string
}

const LISTENER_COLUMNS: readonly Column<ListenerFigures>[] = [
  { title: 'requests/s', width: 11, show: (row) => formatRate(row.requests_per_second) },
  { title: 'p50 ms', width: 7, show: (row) => formatMs(row.p50_ms) },
  { title: 'p99 ms', width: 7, show: (row) => formatMs(row.p99_ms) },
  { title: 'shed/s', width: 8, show: (row) => formatRate(row.shed_per_second) },
  { title: 'in flight', width: 10, show: (row) => formatRate(row.in_flight) },
  { title: 'wait p99', width: 9, show: (row) => formatMs(row.queue_wait_p99_ms) },
  { title: 'batch', width: 6, show: (row) => formatMean(row.calls_per_statement) },
  { title: 'busy', width: 6, show: (row) => formatShare(row.event_loop_busy) },
  { title: 'MB', width: 7, show: (row) => formatRate(row.resident_bytes / BYTES_PER_MB) },
]

const OPERATION_COLUMNS: readonly Column<OperationFigures>[] = [
  { title: 'calls/s', width: 10, show: (row) => formatRate(row.calls_per_second) },
  { title: 'batch', width: 7, show: (row) => formatMean(row.calls_per_statement) },
  { title: 'waiting', width: 8, show: (row) => formatRate(row.waiting) },
  { title: 'wait p50', width: 9, show: (row) => formatMs(row.queue_wait_p50_ms) },
  { title: 'wait p99', width: 9, show: (row) => formatMs(row.queue_wait_p99_ms) },
  { title: 'statement p99', width: 14, show: (row) => formatMs(row.statement_p99_ms) },
]

const ROUTE_COLUMNS: readonly Column<RouteFigures>[] = [
  { title: 'requests/s', width: 12, show: (row) => formatRate(row.requests_per_second) },
  { title: '5xx/s', width: 10, show: (row) => formatRate(row.errors_per_second) },
]

export function renderScreen(figures: Figures, node: string): string[] {
  const name = `taskapi ${figures.version} at ${node}`
  const time = `${figures.at.slice('yyyy-mm-ddT'.length, -'.mmmZ'.length)} UTC`
  const { operations, routes } = figures
  return [
    `${name.padEnd(SCREEN_COLUMNS - time.length - 1)} ${time}`,
    '',
    ...renderTable('listener', LISTENER_COLUMNS, [
      ['all', figures.total],
      ...busiestListeners(figures),
    ]),
    ...renderShed(figures),
    '',
    ...renderTable(
      'operation (ms)',
      OPERATION_COLUMNS,
      operations.map((row) => [row.operation, row]),
    ),
    '',
    ...renderTable(
      'route',
      ROUTE_COLUMNS,
      routes.map((row) => [`${row.method} ${row.route}`, row]),
    ),
  ]
}

function busiestListeners({ listeners }: Figures): [string, ListenerFigures][] {
  const entries = Object.entries(listeners)
  const ranked = entries.toSorted(
    ([, one], [, other]) => other.requests_per_second - one.requests_per_second,
  )
  const shown = new Set(ranked.slice(0, LISTENERS_MAX))
  return entries.filter((entry) => shown.has(entry))
}

function renderShed({ shed }: Figures): string[] {
  const reasons = Object.entries(shed).map(([reason, rate]) => `${reason} ${formatRate(rate)}/s`)
  return reasons.length === 0 ? [] : [styleText('red', `shed: ${reasons.join(', ')}`)]
}

/** The first column takes what the others leave of the width. */
function renderTable<Row>(
  title: string,
  columns: readonly Column<Row>[],
  rows: readonly (readonly [name: string, row: Row])[],
): string[] {
  const width = SCREEN_COLUMNS - columns.reduce((total, column) => total + column.width, 0)
  const first = (name: string) => (name.length > width ? name.slice(0, width) : name.padEnd(width))
  const head = first(title) + columns.map((column) => column.title.padStart(column.width)).join('')
  return [
    styleText('bold', head),
    ...rows.map(([name, row]) => {
      const cells = columns.map((column) => column.show(row).padStart(column.width))
      return first(name) + cells.join('')
    }),
  ]
}

/** What is less than 10 shows a digit more, or a trickle would look like nothing. */
function formatRate(value: number): string {
  const digits = value > 0 && value < 10 && !Number.isInteger(value) ? 1 : 0
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
}

function formatMs(value: number | null): string {
  if (value === null) return '-'
  if (value >= 100) return formatRate(value)
  return value.toFixed(value < 10 ? 2 : 1)
}

function formatMean(value: number | null): string {
  return value === null ? '-' : value.toFixed(1)
}

function formatShare(value: number | null): string {
  return value === null ? '-' : `${Math.round(value * 100)} %`
}
