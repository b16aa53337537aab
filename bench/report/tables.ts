// The tables of the scenarios, and the one of memory.
import type { OfferedRate } from '../measure/offered-rate.ts'
import { count, megabytes, microseconds, milliseconds, type Table, throughput } from './format.ts'
import type { Row } from './summary.ts'

interface Column {
  head: string
  cell: (row: Row) => string
}

const COST: readonly Column[] = [
  { head: 'requests/s', cell: throughput },
  { head: 'server CPU', cell: (row) => microseconds(row.server_cpu_us) },
  { head: 'PostgreSQL CPU', cell: (row) => microseconds(row.database_cpu_us) },
]

/** Shown where there was no open loop. */
const CLOSED: readonly Column[] = [
  { head: 'closed p50', cell: (row) => milliseconds(row.closed_p50_us) },
  { head: 'closed p90', cell: (row) => milliseconds(row.closed_p90_us) },
  { head: 'closed p99', cell: (row) => milliseconds(row.closed_p99_us) },
]

const OPEN: readonly Column[] = [
  { head: 'offered/s', cell: offered },
  { head: 'p50', cell: (row) => milliseconds(row.open_p50_us) },
  { head: 'p90', cell: (row) => milliseconds(row.open_p90_us) },
  { head: 'p99', cell: (row) => milliseconds(row.open_p99_us) },
  { head: 'p99.9', cell: (row) => milliseconds(row.open_p999_us) },
  { head: 'max', cell: (row) => milliseconds(row.open_max_us) },
]

const CALM: Column = {
  head: 'p99 without the storm',
  cell: (row) => milliseconds(row.calm_p99_us),
}

const MEMORY: readonly Column[] = [
  { head: 'scenario', cell: (row) => row.scenario },
  {
    head: 'start',
    cell: (row) => (row.startup_ms ? `${Math.round(row.startup_ms.median)} ms` : ''),
  },
  { head: 'idle RSS', cell: (row) => megabytes(row.idle_rss_bytes) },
  { head: 'idle PSS', cell: (row) => megabytes(row.idle_pss_bytes) },
  { head: 'idle anonymous', cell: (row) => megabytes(row.idle_anonymous_bytes) },
  { head: 'idle cgroup', cell: (row) => megabytes(row.idle_cgroup_bytes) },
  { head: 'loaded PSS', cell: (row) => megabytes(row.loaded_pss_bytes) },
  { head: 'loaded anonymous', cell: (row) => megabytes(row.loaded_anonymous_bytes) },
  { head: 'loaded cgroup', cell: (row) => megabytes(row.loaded_cgroup_bytes) },
  { head: 'peak charge', cell: (row) => megabytes(row.cgroup_peak_bytes) },
]

export function scenarioTable(
  rows: readonly Row[],
  { name, about }: { name: string; about: string },
  rates: readonly OfferedRate[],
): Table {
  const own = rows.filter((row) => row.scenario === name)
  const open = own.some((row) => row.offered_per_second || row.unsustainable_per_second)
  const calm = own.some((row) => row.calm_p99_us) ? [CALM] : []
  const rate = rates.find(({ scenario }) => scenario === name)
  const columns = [...COST, ...(open ? [...OPEN, ...calm] : CLOSED)]
  return {
    title: name,
    about: open && rate ? `${about}. Offered rate: ${describeRate(rate)}.` : about,
    ...fill(columns, own),
  }
}

export function memoryTable(rows: readonly Row[]): Table {
  const chosen = rows.filter(
    (row) => ['json', 'mixed'].includes(row.scenario) && !row.invalid && row.idle_rss_bytes,
  )
  return {
    title: 'Memory and start',
    about:
      'Sums over all processes of a server. Cgroup is what a container is charged without the page cache: anonymous and kernel memory. The peak charge includes the page cache, which the kernel takes back when memory is short. Start is from exec to the first answer.',
    ...fill(MEMORY, chosen),
  }
}

function fill(columns: readonly Column[], rows: readonly Row[]): Pick<Table, 'head' | 'rows'> {
  return {
    head: ['server', ...columns.map(({ head }) => head)],
    rows: rows.map((row) => [
      row.server,
      ...columns.map(({ cell }, index) => {
        if (row.invalid) return index === 0 ? row.invalid : ''
        return cell(row)
      }),
    ]),
  }
}

/** Where the offered rate of a scenario comes from. */
function describeRate({ share, per_second, reference }: OfferedRate): string {
  if (share === undefined) return `${count(per_second ?? 0)}/s, as the command says`
  if (reference?.requests_per_second !== undefined) {
    return `${share} of the ${count(reference.requests_per_second)} requests/s of ${reference.server}, to every server`
  }
  const own = `${share} of each server's own throughput of the run`
  return reference ? `${own}, as ${reference.server} ${reference.reason}` : own
}

function offered(row: Row): string {
  if (row.unsustainable_per_second) return `cannot sustain ${count(row.unsustainable_per_second)}`
  return row.offered_per_second ? count(row.offered_per_second.median) : ''
}
