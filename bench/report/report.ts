// The report of npm run bench: what is in it, and its Markdown.
import type { LoadOptions } from '../load/load-options.ts'
import type { OfferedRate } from '../measure/offered-rate.ts'
import type { Run } from '../measure/run.ts'
import { articleTables } from './article-tables.ts'
import { markdownTable, type Table } from './format.ts'
import { type GoalResult, goalsTable } from './goals.ts'
import { environmentFacts, type Machine } from './machine.ts'
import type { Row } from './summary.ts'
import { memoryTable, scenarioTable } from './tables.ts'

export interface Report {
  date: string
  commit: string
  command: string
  machine: Machine
  load: LoadOptions
  rounds: number
  servers: { name: string; language: string; versions: Record<string, string> }[]
  scenarios: { name: string; about: string }[]
  /** Empty where a running service was measured alone. */
  goals: GoalResult[]
  rates: OfferedRate[]
  rows: Row[]
  runs: Run[]
}

/** What a reader has to know before believing a figure. Markdown and HTML have the same text. */
export const NOTES = [
  'Client, server and PostgreSQL share the CPUs of one machine, so throughput is that of all three together. CPU per request is the steadiest figure.',
  'Throughput comes from a closed loop (autocannon; raw sockets in json-saturated): each connection sends its next request when it has its answer. Its latency is connections divided by throughput, not what a user would see.',
  'p50 to max come from an open loop at the offered rate: requests are due at fixed times and their latency counts from then, so every request that was due during a stall shows it.',
  "The offered rate of a scenario is a share of one server's closed-loop throughput, measured once before the rounds, and the same for all servers. No server is run at more than 90 % of its own throughput, because it could not sustain that.",
  'Latency is left out where the open loop would have had fewer than 100 requests.',
  'A ^ after requests/s means that the load generator had used up its own CPU: the server could have done more, and its CPU per request is the figure to compare.',
  'Figures are medians over the rounds, with the smallest and the largest in brackets. Every run is a fresh process on a fresh copy of the database; the order of the servers rotates.',
  'The row pgbench is not a server: it sends the same single statements to PostgreSQL over its unix socket, from as many connections.',
  'In the json scenarios requests pass the three layers of the article (trace, compression, CORS) in axum and the whole request path (request id, CORS, limits, deadlines) in taskapi. ntex, ceiling, fasthttp and elysia have request ids, CORS and limits there, too; the other servers answer without such layers.',
  'The row ceiling is our batching in Rust, on the server of the row ntex: what these batches could give without JavaScript, and without our turns of accounts, retries and replacement of connections.',
]

/** The whole report. */
export function renderMarkdown(report: Report): string {
  const tables = reportTables(report).map((table) =>
    [`## ${table.title}`, table.about, markdownTable(table)].filter(Boolean).join('\n\n'),
  )
  const facts = reportFacts(report).map(([name, value]) => `- ${name}: ${value}`)
  const notes = NOTES.map((note) => `- ${note}`)
  return `# Benchmark report\n\n${facts.join('\n')}\n\n${tables.join('\n\n')}\n\n## How to read it\n\n${notes.join('\n')}\n`
}

export function reportFacts(report: Report): [string, string][] {
  const { load, rounds, servers } = report
  const libraries = servers.map(({ name, versions }) => {
    const list = Object.entries(versions).map(([library, version]) => `${library} ${version}`)
    return `${name} (${list.join(', ')})`
  })
  return [
    ...environmentFacts(report),
    ...(libraries.length > 0 ? [['servers', libraries.join('; ')] as [string, string]] : []),
    [
      'load',
      `${load.connections} connections, ${load.warmupSeconds} s warm-up, ${load.durationSeconds} s per measurement, ${rounds} rounds`,
    ],
  ]
}

/** The tables in the order of the report. */
export function reportTables({ rows, servers, scenarios, goals, rates }: Report): Table[] {
  const measured = new Set(rows.map(({ scenario }) => scenario))
  return [
    ...(goals.length > 0 ? [goalsTable(goals)] : []),
    ...(measured.has('json') && servers.length > 0 ? articleTables(rows) : []),
    ...scenarios
      .filter(({ name }) => measured.has(name))
      .map((scenario) => scenarioTable(rows, scenario, rates)),
    ...(rows.some((row) => row.idle_rss_bytes) ? [memoryTable(rows)] : []),
  ]
}
