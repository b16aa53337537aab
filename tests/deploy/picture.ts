// Draws the panels of the shipped dashboard as Grafana would, from what a real Prometheus has of two nodes under load:
// `node tests/deploy/picture.ts docs/dashboard.svg`. Meanwhile a listener is killed and the database is stopped.
import { writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { childrenOf } from '../faults/server.ts'
import { type Panel, readPanels } from './dashboard.ts'
import { startNodes } from './nodes.ts'
import { type Prometheus, startPrometheus } from './prometheus.ts'

const SCRAPE_INTERVAL = '15s'
const CALM_MS = 40_000
const STEP_SECONDS = 2
const COLUMN_PX = 60
const ROW_PX = 30
const HEAD_PX = 26
/** What the axis, the legend and the margin take of a panel. */
const [AXIS_PX, LEGEND_PX, MARGIN_PX] = [70, 66, 12]
const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json'
const FONT = 'font-family="DejaVu Sans, sans-serif"'

interface Point {
  series: string
  at: number
  value: number
}

/** Grafana's units as formats of d3, and what follows the number. */
const UNITS: Readonly<Record<string, readonly [format: string, suffix: string]>> = {
  s: ['.3~s', 's'],
  bytes: ['.3~s', 'B'],
  percentunit: ['.3~%', ''],
  reqps: ['.3~r', '/s'],
  short: ['.3~r', ''],
}

await run(process.argv[2] ?? 'dashboard.svg')

async function run(file: string): Promise<void> {
  const nodes = await startNodes()
  const prometheus = await startPrometheus(nodes.nodes.map(({ admin }) => admin))
  try {
    const start = Date.now() / 1000
    await delay(CALM_MS)
    process.kill(childrenOf(nodes.nodes[0].pid)[0] ?? 0, 'SIGKILL')
    await delay(CALM_MS)
    await nodes.database.stop()
    await delay(CALM_MS / 4)
    await nodes.database.start()
    await delay(CALM_MS)
    await writeFile(file, await drawDashboard(prometheus, { start, end: Date.now() / 1000 }))
  } finally {
    await prometheus.stop()
    await nodes.close()
  }
}

async function drawDashboard(
  prometheus: Prometheus,
  range: { start: number; end: number },
): Promise<string> {
  const panels = await readPanels(SCRAPE_INTERVAL)
  const drawn: string[] = []
  for (const panel of panels) {
    const { x, y, w, h } = panel.gridPos
    const place = `transform="translate(${x * COLUMN_PX}, ${y * ROW_PX})"`
    const frame = `<rect x="2" y="2" width="${w * COLUMN_PX - 4}" height="${h * ROW_PX - 4}" fill="white" stroke="#ccd"/>`
    const title = `<text x="10" y="20" font-size="13" font-weight="bold" ${FONT}>${panel.title}</text>`
    const points = await readPoints(prometheus, panel, range)
    drawn.push(`<g ${place}>${frame}${title}${await drawPanel(panel, points)}</g>`)
  }
  const height = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * ROW_PX
  const width = 24 * COLUMN_PX
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#f4f5f8"/>${drawn.join('\n')}</svg>\n`
}

async function readPoints(
  prometheus: Prometheus,
  { targets }: Panel,
  { start, end }: { start: number; end: number },
): Promise<Point[]> {
  const points: Point[] = []
  for (const { expr, legendFormat } of targets) {
    const parameters = { query: expr, start: String(start), end: String(end) }
    const { result } = await prometheus.ask('query_range', {
      ...parameters,
      step: String(STEP_SECONDS),
    })
    for (const { metric, values } of result) {
      const series = legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => metric[name] ?? '')
      for (const [at, value] of values) {
        points.push({ series, at: at * 1000, value: Number(value) })
      }
    }
  }
  return points.filter(({ value }) => Number.isFinite(value))
}

async function drawPanel(panel: Panel, values: Point[]): Promise<string> {
  const [format, suffix] = UNITS[panel.fieldConfig.defaults.unit] ?? ['', '']
  const label = `format(datum.value, '${format}') + '${suffix}'`
  const svg = await render(
    panel.type === 'stat' ? specOfStat(panel, values, label) : specOfGraph(panel, values, label),
  )
  return `<g transform="translate(0, ${HEAD_PX})">${svg}</g>`
}

function specOfStat({ gridPos: { w, h } }: Panel, values: Point[], label: string): TopLevelSpec {
  return {
    $schema: SCHEMA,
    data: { values: values.slice(-1) },
    transform: [{ calculate: label, as: 'text' }],
    width: w * COLUMN_PX,
    height: h * ROW_PX - HEAD_PX * 2,
    padding: 0,
    view: { stroke: null },
    mark: { type: 'text', fontSize: 32, color: '#287' },
    encoding: { text: { field: 'text' } },
  }
}

function specOfGraph(panel: Panel, values: Point[], label: string): TopLevelSpec {
  const { w, h } = panel.gridPos
  const stacked = panel.fieldConfig.defaults.custom?.stacking.mode === 'normal'
  return {
    $schema: SCHEMA,
    data: { values },
    width: w * COLUMN_PX - AXIS_PX,
    height: h * ROW_PX - HEAD_PX - LEGEND_PX - MARGIN_PX * 2,
    autosize: 'none',
    padding: { left: AXIS_PX - MARGIN_PX, top: 5, right: MARGIN_PX, bottom: LEGEND_PX + MARGIN_PX },
    mark: stacked ? { type: 'area', opacity: 0.6 } : { type: 'line', strokeWidth: 1.2 },
    encoding: {
      x: { field: 'at', type: 'temporal', title: null, axis: { tickCount: 5, format: '%H:%M:%S' } },
      y: {
        field: 'value',
        type: 'quantitative',
        title: null,
        stack: stacked ? 'zero' : null,
        axis: { tickCount: 4, labelExpr: label },
      },
      color: {
        field: 'series',
        type: 'nominal',
        legend: {
          title: null,
          orient: 'bottom',
          columns: w / 4,
          labelLimit: 200,
          labelFontSize: 9,
          rowPadding: 1,
        },
      },
    },
  }
}

/** With coordinates in tenths of a pixel, which halves the file. */
async function render(spec: TopLevelSpec): Promise<string> {
  const svg = await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG()
  return svg.replaceAll(/ d="[^"]*"/g, (path) =>
    path.replaceAll(/\d+\.\d{2,}/g, (number) => Number(number).toFixed(1)),
  )
}
