// The report as Markdown.
import { ARTICLE, type ArticleRow, REFERENCE } from './article.ts'
import type { Machine } from './machine.ts'
import type { LoadOptions, Run } from './measure.ts'
import { OURS } from './servers.ts'
import type { Row, Spread } from './summary.ts'

export interface Report {
  date: string
  commit: string
  command: string
  machine: Machine
  load: LoadOptions
  rounds: number
  servers: { name: string; language: string; versions: Record<string, string> }[]
  scenarios: { name: string; about: string }[]
  rows: Row[]
  runs: Run[]
}

export interface Table {
  title: string
  about: string
  head: string[]
  rows: string[][]
}

/** What a reader has to know before believing a figure; the same text stands in every form of the report. */
export const NOTES = [
  'Client, server and PostgreSQL share the CPUs of one machine, so throughput is that of the three together. CPU per request is the steadiest figure.',
  'Throughput comes from a closed loop (autocannon): each connection sends its next request when it has its answer. Its latency is connections divided by throughput, not what a user would see.',
  'p50 to max come from an open loop at the offered rate: requests are due at fixed times and their latency counts from then, so a stall is seen by all that were due during it.',
  'Latency is left out where the open loop would have had fewer than 100 requests.',
  'A mark ^ behind requests/s says that the load generator had used up its own CPU: the server could have done more, and its CPU per request is the figure to compare.',
  'Figures are medians over the rounds, with the smallest and the largest in brackets. Every run is a fresh process on a fresh copy of the database; the order of the servers rotates.',
  'In the json scenario axum passes the three layers of the article (trace, compression, CORS) and taskapi its whole request path (request id, CORS, limits, deadlines); the other five answer without such layers.',
]

const ARTICLE_NOTE =
  "The article does not state its hardware, its load generator, its connections or the code of its servers, so its absolute figures can be compared with nothing. What can be compared is the order of the frameworks and their ratios; both are given against Express. The article's p99 seems to come from a closed loop; ours is timed from when a request was due, at half of each server's own throughput."

/** The whole report. */
export function renderMarkdown(report: Report): string {
  const tables = reportTables(report).map((table) =>
    [`## ${table.title}`, table.about, markdownTable(table)].filter(Boolean).join('\n\n'),
  )
  const facts = reportFacts(report).map(([name, value]) => `- ${name}: ${value}`)
  const notes = NOTES.map((note) => `- ${note}`)
  return `# Benchmark report\n\n${facts.join('\n')}\n\n${tables.join('\n\n')}\n\n## How to read it\n\n${notes.join('\n')}\n`
}

export function reportFacts({
  date,
  commit,
  command,
  machine,
  load,
  rounds,
  servers,
}: Report): [string, string][] {
  const programs = Object.entries(machine.programs).map(([name, version]) => `${name} ${version}`)
  const libraries = servers.map(({ name, versions }) => {
    const list = Object.entries(versions).map(([library, version]) => `${library} ${version}`)
    return `${name} (${list.join(', ')})`
  })
  const rate =
    'perSecond' in load.rate ? `${load.rate.perSecond}/s` : `${load.rate.share} of throughput`
  return [
    ['date', date],
    ['commit', commit],
    ['command', `\`${command}\``],
    [
      'machine',
      `${machine.cpu}, ${machine.cpus} CPUs, ${gib(machine.memory_bytes)}, ${machine.system}, Linux ${machine.kernel}, glibc ${machine.glibc}`,
    ],
    ['programs', programs.join('; ')],
    ...(libraries.length > 0 ? [['servers', libraries.join('; ')] as [string, string]] : []),
    [
      'load',
      `${load.connections} connections, ${load.warmupSeconds} s warm-up, ${load.durationSeconds} s per measurement, ${rounds} rounds, offered rate ${rate}`,
    ],
  ]
}

/** The tables in the order of the report. */
export function reportTables(report: Report): Table[] {
  const measured = new Set(report.rows.map(({ scenario }) => scenario))
  const scenarios = report.scenarios.filter(({ name }) => measured.has(name))
  const article = measured.has('json') && report.servers.length > 0 ? articleTables(report) : []
  const memory = report.rows.some((row) => row.idle_rss_bytes) ? [memoryTable(report)] : []
  return [...article, ...scenarios.map((scenario) => scenarioTable(report, scenario)), ...memory]
}

/** One table for each figure of the article's. */
const ARTICLE_FIGURES: readonly {
  title: string
  article: (row: ArticleRow) => number
  format: (value: number) => string
  /** In the article's unit. */
  measured: (row: Row) => Spread | undefined
}[] = [
  {
    title: 'requests per second',
    article: (row) => row.requestsPerSecond,
    format: count,
    measured: (row) => row.requests_per_second,
  },
  {
    title: 'p99 latency in ms',
    article: (row) => row.p99Ms,
    format: (value) => String(Math.round(value * 100) / 100),
    measured: (row) => row.open_p99_us && scale(row.open_p99_us, 1e-3),
  },
  {
    title: 'idle memory in MB (measured: PSS of all processes)',
    article: (row) => row.idleMemoryMb,
    format: (value) => String(Math.round(value)),
    measured: (row) => row.idle_pss_bytes && scale(row.idle_pss_bytes, 1e-6),
  },
]

function articleTables({ rows }: Report): Table[] {
  const find = (server: string) =>
    rows.find((row) => row.scenario === 'json' && row.server === server && !row.invalid)
  const reference = find(REFERENCE)
  const articleReference = ARTICLE.find(({ server }) => server === REFERENCE)
  return ARTICLE_FIGURES.map(({ title, article, format, measured }, index) => {
    const cells = (server: string) => {
      const row = find(server)
      const value = row && measured(row)
      if (!row || !value) return ['not measured', '']
      const mark = measured(row) === row.requests_per_second ? limitMark(row) : ''
      const to = reference && measured(reference)?.median
      return [withSpread(value, format) + mark, ratio(value.median, to)]
    }
    const lines = ARTICLE.map((row) => [
      row.framework,
      format(article(row)),
      ratio(article(row), articleReference && article(articleReference)),
      ...cells(row.server),
    ])
    return {
      title: `The article's table, measured here: ${title}`,
      about: index === 0 ? ARTICLE_NOTE : '',
      head: ['framework', 'article', 'to Express', 'measured', 'to Express'],
      rows: [...lines, [`**${OURS}**`, '', '', ...cells(OURS)]],
    }
  })
}

function scenarioTable({ rows }: Report, { name, about }: { name: string; about: string }): Table {
  const own = rows.filter((row) => row.scenario === name)
  return {
    title: name,
    about,
    head: [
      'server',
      'requests/s',
      'server CPU',
      'PostgreSQL CPU',
      'offered/s',
      'p50',
      'p90',
      'p99',
      'p99.9',
      'max',
    ],
    rows: own.map((row) =>
      row.invalid
        ? [row.server, row.invalid, ...Array.from({ length: 8 }, () => '')]
        : [
            row.server,
            throughput(row),
            microseconds(row.server_cpu_us),
            microseconds(row.database_cpu_us),
            row.offered_per_second ? count(row.offered_per_second.median) : '',
            milliseconds(row.open_p50_us),
            milliseconds(row.open_p90_us),
            milliseconds(row.open_p99_us),
            milliseconds(row.open_p999_us),
            milliseconds(row.open_max_us),
          ],
    ),
  }
}

function memoryTable({ rows, scenarios }: Report): Table {
  const order = scenarios.map(({ name }) => name)
  const chosen = ['json', 'mixed'].filter((name) => order.includes(name))
  const lines = rows
    .filter((row) => chosen.includes(row.scenario) && !row.invalid)
    .map((row) => [
      row.server,
      row.scenario,
      row.startup_ms ? `${Math.round(row.startup_ms.median)} ms` : '',
      megabytes(row.idle_rss_bytes),
      megabytes(row.idle_pss_bytes),
      megabytes(row.idle_anonymous_bytes),
      megabytes(row.idle_cgroup_bytes),
      megabytes(row.loaded_pss_bytes),
      megabytes(row.loaded_anonymous_bytes),
      megabytes(row.loaded_cgroup_bytes),
    ])
  return {
    title: 'Memory and start',
    about:
      'Sums over all processes of a server. Cgroup is what a container is charged without the page cache: anonymous and kernel memory. Start is from exec to the first answer.',
    head: [
      'server',
      'scenario',
      'start',
      'idle RSS',
      'idle PSS',
      'idle anonymous',
      'idle cgroup',
      'loaded PSS',
      'loaded anonymous',
      'loaded cgroup',
    ],
    rows: lines,
  }
}

export function markdownTable({ head, rows }: Table): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function throughput(row: Row): string {
  return withSpread(row.requests_per_second, count) + limitMark(row)
}

function limitMark(row: Row): string {
  return row.generator_limited ? ' ^' : ''
}

function scale({ median, min, max }: Spread, by: number): Spread {
  return { median: median * by, min: min * by, max: max * by }
}

function withSpread(spread: Spread | undefined, format: (value: number) => string): string {
  if (!spread) return ''
  const { median, min, max } = spread
  return min === max ? format(median) : `${format(median)} (${format(min)} to ${format(max)})`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ')
}

function microseconds(spread: Spread | undefined): string {
  return spread ? withSpread(spread, (value) => value.toFixed(value < 100 ? 1 : 0)) + ' us' : ''
}

function milliseconds(spread: Spread | undefined): string {
  return spread
    ? withSpread(spread, (value) => (value / 1000).toFixed(value < 10_000 ? 2 : 1)) + ' ms'
    : ''
}

function megabytes(spread: Spread | undefined): string {
  return spread ? `${(spread.median / 1e6).toFixed(1)} MB` : ''
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(0)} GiB`
}

function ratio(value: number | undefined, to: number | undefined): string {
  return value !== undefined && to ? `${(value / to).toFixed(2)} x` : ''
}
