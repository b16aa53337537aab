// npm run bench: measures this service and its peers side by side, and writes the report.
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { drawCharts } from './lib/charts.ts'
import { checkConformance } from './lib/conformance.ts'
import { type BenchDatabase, startDatabase } from './lib/database.ts'
import { describeCommit, describeMachine } from './lib/machine.ts'
import { type LoadOptions, measureLoad, measureServer, type Run } from './lib/measure.ts'
import { renderHtml } from './lib/page.ts'
import { createProgress, type Progress } from './lib/progress.ts'
import { type Report, renderMarkdown } from './lib/report.ts'
import type { Scenario } from './lib/scenario.ts'
import {
  listPeers,
  ourService,
  ourServiceUnbatched,
  type ServerKind,
  startServer,
  whyMissing,
} from './lib/servers.ts'
import { type Row, summarizeRuns } from './lib/summary.ts'
import { seedTarget } from './lib/target.ts'
import { scenarios } from './scenarios.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = join(ROOT, 'bench/results')

interface Options {
  scenarios?: string[]
  servers?: string[]
  connections: number
  duration: number
  warmup: number
  rounds: number
  rate: number
  ratePerSecond?: number
  target?: string
  output: string
}

const program = new Command('npm run bench --')
  .description('Measure this service and its peers side by side on this machine.')
  .option('--scenarios <names>', `comma-separated, of ${names(scenarios)}`, list)
  .option('--servers <names>', `comma-separated, of ${names(allServers())}`, list)
  .option('--connections <n>', 'kept connections', positive, 64)
  .option('--duration <seconds>', 'length of each measured load', positive, 5)
  .option('--warmup <seconds>', 'length of the load before it', positive, 2)
  .option('--rounds <n>', 'times everything is repeated', positive, 3)
  .option(
    '--rate <share>',
    "offered rate of the latency runs, as a share of the run's own throughput",
    positive,
    0.5,
  )
  .option('--rate-per-second <n>', 'the same rate for every server instead', positive)
  .option('--target <url>', 'measure a running service instead: it gets an account and 100 tasks')
  .option('--output <folder>', 'where the report goes', RESULTS)
  .showHelpAfterError()

const options = program.parse().opts<Options>()
const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort())

try {
  if (options.target) await runTarget(options.target)
  else await runAll()
} catch (error) {
  if (abort.signal.aborted) process.stderr.write('\nStopped, nothing was written\n')
  else throw error
  process.exitCode = 130
}

async function runAll(): Promise<void> {
  const chosen = choose(scenarios, options.scenarios)
  const kinds = choose(allServers(), options.servers)
  const present = kinds.filter((kind) => whyMissing(kind) === undefined)
  const missing = kinds.filter((kind) => !present.includes(kind))
  const plan = chosen.flatMap((scenario) =>
    Array.from({ length: options.rounds }, (_, round) =>
      rotate(participants(present, scenario), round).map((kind) => ({ scenario, kind, round })),
    ).flat(),
  )
  const progress = createProgress(present.length + plan.length)
  for (const kind of missing) progress.note(`${kind.name} is not measured: ${whyMissing(kind)}`)
  const database = await startDatabase(abort.signal)
  const runs: Run[] = []
  try {
    const complaints = await verify(present, database, progress)
    for (const { scenario, kind, round } of plan) {
      progress.step(`${scenario.name}, round ${round + 1}: ${kind.name}`)
      if (complaints.has(kind.name)) continue
      runs.push(await measureServer(kind, scenario, round, database, loadOptions(), abort.signal))
    }
    const rows = chosen.flatMap((scenario) =>
      kinds
        .filter((kind) => kind.serves.includes(scenario.serves))
        .map((kind) => toRow(kind, scenario, runs, complaints)),
    )
    await write(makeReport(rows, runs, database.version, kinds))
  } finally {
    progress.stop()
    await database.stop()
  }
}

/** Each server must answer every request of the check as it should, or it is not timed. */
async function verify(
  kinds: readonly ServerKind[],
  database: BenchDatabase,
  progress: Progress,
): Promise<Map<string, string>> {
  const complaints = new Map<string, string>()
  for (const kind of kinds) {
    progress.step(`check of ${kind.name}`)
    const clone = await database.clone()
    const server = await startServer(kind, clone.url, abort.signal)
    const serves = kind.serves.includes('tasks') ? 'tasks' : 'json'
    const found = await checkConformance(server.url, serves, database.users)
    await server.stop()
    await clone.drop()
    if (found.length === 0) continue
    complaints.set(kind.name, `does not conform: ${found.join('; ')}`)
    progress.note(`${kind.name} ${complaints.get(kind.name)}`)
  }
  return complaints
}

async function runTarget(url: string): Promise<void> {
  const chosen = choose(scenarios, options.scenarios)
  const progress = createProgress(chosen.length * options.rounds)
  const users = await seedTarget(url)
  const runs: Run[] = []
  for (const scenario of chosen) {
    for (let round = 0; round < options.rounds; round += 1) {
      progress.step(`${scenario.name}, round ${round + 1}`)
      const run = await measureLoad(url, scenario, users, loadOptions(), abort.signal)
      runs.push({ server: url, round, ...run })
    }
  }
  progress.stop()
  const rows = chosen.map(({ name }) =>
    summarizeRuns(runs.filter(({ scenario }) => scenario === name)),
  )
  process.stdout.write(renderMarkdown(makeReport(rows, runs, undefined, [])))
}

function toRow(
  kind: ServerKind,
  scenario: Scenario,
  runs: readonly Run[],
  complaints: ReadonlyMap<string, string>,
): Row {
  const own = runs.filter((run) => run.server === kind.name && run.scenario === scenario.name)
  if (own.length > 0) return summarizeRuns(own)
  const reason = whyMissing(kind)
  const invalid = reason ? `not measured: ${reason}` : (complaints.get(kind.name) ?? 'not measured')
  return {
    server: kind.name,
    scenario: scenario.name,
    rounds: 0,
    invalid,
    generator_limited: false,
  }
}

function makeReport(
  rows: Row[],
  runs: Run[],
  postgresVersion: string | undefined,
  kinds: readonly ServerKind[],
): Report {
  return {
    date: new Date().toISOString(),
    commit: describeCommit(ROOT),
    command: `npm run bench -- ${process.argv.slice(2).join(' ')}`.trim(),
    machine: describeMachine(postgresVersion),
    load: loadOptions(),
    rounds: options.rounds,
    servers: kinds.map(({ name, language, versions }) => ({ name, language, versions })),
    scenarios: scenarios.map(({ name, about }) => ({ name, about })),
    rows,
    runs,
  }
}

async function write(report: Report): Promise<void> {
  await mkdir(options.output, { recursive: true })
  const to = (name: string) => join(options.output, name)
  const charts = await drawCharts(report)
  for (const [name, svg] of charts) await writeFile(to(name), svg)
  await writeFile(to('latest.json'), `${JSON.stringify(report, null, 1)}\n`)
  await writeFile(to('latest.md'), renderMarkdown(report))
  await writeFile(to('latest.html'), renderHtml(report, charts))
  const { date, commit, machine, rows } = report
  const entry = {
    date,
    commit,
    cpu: machine.cpu,
    cpus: machine.cpus,
    node: machine.programs.node,
    rows,
  }
  await appendFile(to('history.jsonl'), `${JSON.stringify(entry)}\n`)
  process.stderr.write(`Written to ${options.output}: latest.md, latest.html, latest.json\n`)
}

function loadOptions(): LoadOptions {
  return {
    connections: options.connections,
    warmupSeconds: options.warmup,
    durationSeconds: options.duration,
    rate: options.ratePerSecond ? { perSecond: options.ratePerSecond } : { share: options.rate },
  }
}

function allServers(): ServerKind[] {
  return [ourService(), ourServiceUnbatched(), ...listPeers()]
}

function participants(kinds: readonly ServerKind[], scenario: Scenario): ServerKind[] {
  return kinds.filter((kind) => kind.serves.includes(scenario.serves))
}

/** Another server goes first in each round, so that none always has the warmer or cooler machine. */
function rotate<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

function choose<T extends { name: string }>(all: readonly T[], wanted: string[] | undefined): T[] {
  const unknown = wanted?.filter((name) => !all.some((item) => item.name === name)) ?? []
  if (unknown.length > 0) program.error(`Unknown: ${unknown.join(', ')}; there are ${names(all)}`)
  return all.filter(({ name }) => wanted?.includes(name) ?? true)
}

function names(of: readonly { name: string }[]): string {
  return of.map(({ name }) => name).join(', ')
}

function list(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0')
  return value
}
