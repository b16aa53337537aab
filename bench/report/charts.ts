// The report's charts as SVG, which Vega draws to a string without a browser or a canvas.
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { StageTime } from '../measure/profile-stages.ts'
import { OURS } from '../servers/ours.ts'
import type { Report } from './report.ts'
import type { Row } from './summary.ts'

interface Chart {
  file: string
  title: string
  unit: string
  read(row: Row): number | undefined
}

const CHARTS: readonly Chart[] = [
  {
    file: 'throughput.svg',
    title: 'Throughput: requests per second, closed loop (more is better)',
    unit: 'requests/s',
    read: (row) => row.requests_per_second?.median,
  },
  {
    file: 'p99.svg',
    title: 'p99 latency at the offered rate, open loop (less is better)',
    unit: 'ms',
    read: (row) => row.open_p99_us && row.open_p99_us.median / 1000,
  },
  {
    file: 'cpu.svg',
    title: 'CPU of server and PostgreSQL per request (less is better)',
    unit: 'us',
    read: (row) =>
      row.server_cpu_us && row.server_cpu_us.median + (row.database_cpu_us?.median ?? 0),
  },
  {
    file: 'memory.svg',
    title: 'Memory under load: PSS of all processes (less is better)',
    unit: 'MB',
    read: (row) => row.loaded_pss_bytes && row.loaded_pss_bytes.median / 1e6,
  },
]

/** File name and SVG text of each chart: one panel per scenario, one bar per server. */
export async function drawCharts(report: Report): Promise<Map<string, string>> {
  const drawn = new Map<string, string>()
  for (const chart of CHARTS) drawn.set(chart.file, await draw(chart, report))
  return drawn
}

async function draw(chart: Chart, { rows, scenarios }: Report): Promise<string> {
  const values = rows.flatMap((row) => {
    const value = row.invalid ? undefined : chart.read(row)
    return value === undefined ? [] : [{ scenario: row.scenario, server: row.server, value }]
  })
  const servers = [...new Set(rows.map((row) => row.server))]
  const spec: TopLevelSpec = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: chart.title,
    background: 'white',
    data: { values },
    facet: {
      field: 'scenario',
      type: 'nominal',
      title: null,
      sort: scenarios.map(({ name }) => name),
    },
    columns: 4,
    // Each scenario has its own scale: a login takes a thousand times as long as a read.
    resolve: { scale: { x: 'independent' } },
    spec: {
      width: 180,
      height: { step: 18 },
      encoding: {
        x: { field: 'value', type: 'quantitative', title: chart.unit, axis: { tickCount: 4 } },
        y: { field: 'server', type: 'nominal', title: null, sort: servers },
      },
      layer: [
        {
          mark: 'bar',
          encoding: {
            color: {
              condition: { test: `indexof(datum.server, '${OURS}') === 0`, value: '#d9480f' },
              value: '#a9b8c6',
            },
          },
        },
        {
          mark: { type: 'text', align: 'left', dx: 3, fontSize: 9 },
          encoding: { text: { field: 'value', type: 'quantitative', format: '.3~s' } },
        },
      ],
    },
  }
  return render(spec)
}

/** One bar per scenario, from the first stage to the last. */
export async function drawStages(times: readonly StageTime[]): Promise<string> {
  const stages = [...new Set(times.map(({ stage }) => stage))]
  return render({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: 'CPU of one listener and PostgreSQL per request',
    background: 'white',
    data: { values: times.map((time) => ({ ...time, order: stages.indexOf(time.stage) })) },
    width: 640,
    height: { step: 28 },
    mark: 'bar',
    encoding: {
      x: { field: 'us', type: 'quantitative', title: 'us' },
      y: { field: 'scenario', type: 'nominal', title: null, sort: null },
      color: { field: 'stage', type: 'nominal', title: null, sort: stages },
      order: { field: 'order', type: 'quantitative' },
    },
  })
}

function render(spec: TopLevelSpec): Promise<string> {
  return new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()
}
