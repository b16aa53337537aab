// npm run bench: measures this service and its peers side by side, and writes the report.
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { choose, list, names } from './cli/names.ts'
import { untilStopped } from './cli/until-stopped.ts'
import { OWN, type RateOptions, rateWithoutReference } from './measure/offered-rate.ts'
import { createProgress } from './measure/progress.ts'
import { type LoadOptions, measureLoad, type Run } from './measure/run.ts'
import { measureSuite, type SuiteResult } from './measure/suite.ts'
import { drawCharts } from './report/charts.ts'
import { computeGoals } from './report/goals.ts'
import type { GrowthReport } from './report/growth.ts'
import { describeCommand, describeCommit, describeMachine } from './report/machine.ts'
import { renderHtml } from './report/page.ts'
import { type Report, renderMarkdown } from './report/report.ts'
import { summarizeRuns } from './report/summary.ts'
import { scenarios } from './scenarios/all.ts'
import {
  listPeers,
  ourService,
  ourServiceConfined,
  ourServiceUnbatched,
  ourSingleListener,
  ourTwoListeners,
  type ServerKind,
} from './servers/kind.ts'
import { pgbench } from './servers/pgbench.ts'
import { seedTarget } from './servers/target.ts'

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
  rateOf?: string
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
    'offered rate of the latency runs, as a share of what --rate-of names',
    positive,
    0.5,
  )
  .option(
    '--rate-of <server>',
    `the server whose throughput --rate is a share of, for all servers; "${OWN}": each its own (default: the scenario says, ${references()})`,
    server,
  )
  .option('--rate-per-second <n>', 'offered rate in requests per second instead', positive)
  .option(
    '--target <url>',
    'measure a running service instead: it gets an account and 100 tasks, and is offered a share of its own throughput',
  )
  .option('--output <folder>', 'where the report goes', RESULTS)
  .showHelpAfterError()

const options = program.parse().opts<Options>()

await untilStopped((signal) =>
  options.target ? runTarget(options.target, signal) : runAll(signal),
)

async function runAll(signal: AbortSignal): Promise<void> {
  const kinds = choose(program, allServers(), options.servers)
  const result = await measureSuite(
    {
      scenarios: choose(program, scenarios, options.scenarios),
      kinds,
      rounds: options.rounds,
      load: loadOptions(),
      rate: rateOptions(),
    },
    signal,
  )
  const goals = computeGoals({ rows: result.rows, growth: await readGrowth() })
  await write(makeReport(result, kinds, goals))
}

async function runTarget(url: string, signal: AbortSignal): Promise<void> {
  const chosen = choose(program, scenarios, options.scenarios)
  const progress = createProgress(chosen.length * options.rounds)
  const users = await seedTarget(url)
  const { share, perSecond } = rateOptions()
  const load = { ...loadOptions(), rate: perSecond === undefined ? { share } : { perSecond } }
  const runs: Run[] = []
  for (const scenario of chosen) {
    for (let round = 0; round < options.rounds; round += 1) {
      progress.step(`${scenario.name}, round ${round + 1}`)
      const run = await measureLoad(url, scenario, users, load, signal)
      runs.push({ server: url, round, ...run })
    }
  }
  progress.stop()
  const rows = chosen.map(({ name }) =>
    summarizeRuns(runs.filter(({ scenario }) => scenario === name)),
  )
  const rates = chosen.map(({ name }) => rateWithoutReference(name, rateOptions()))
  process.stdout.write(renderMarkdown(makeReport({ rows, runs, rates }, [], [])))
}

function makeReport(
  result: Omit<SuiteResult, 'postgresVersion'> & Partial<SuiteResult>,
  kinds: readonly ServerKind[],
  goals: Report['goals'],
): Report {
  return {
    date: new Date().toISOString(),
    commit: describeCommit(ROOT),
    command: describeCommand('bench'),
    machine: describeMachine(result.postgresVersion),
    load: loadOptions(),
    rounds: options.rounds,
    servers: kinds.map(({ name, language, versions }) => ({ name, language, versions })),
    scenarios: scenarios.map(({ name, about }) => ({ name, about })),
    goals,
    rates: result.rates,
    rows: result.rows,
    runs: result.runs,
  }
}

/** What npm run bench:growth has left in the output folder, or `undefined`. */
async function readGrowth(): Promise<GrowthReport | undefined> {
  const text = await readFile(join(options.output, 'growth.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : JSON.parse(text)
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

function loadOptions(): Omit<LoadOptions, 'rate'> {
  return {
    connections: options.connections,
    warmupSeconds: options.warmup,
    durationSeconds: options.duration,
  }
}

function rateOptions(): RateOptions {
  return {
    share: options.rate,
    ...(options.ratePerSecond === undefined ? {} : { perSecond: options.ratePerSecond }),
    ...(options.rateOf === undefined ? {} : { of: options.rateOf }),
  }
}

function allServers(): ServerKind[] {
  return [
    ourService(),
    ourServiceUnbatched(),
    ourTwoListeners(),
    ourSingleListener(),
    ourServiceConfined(),
    pgbench(),
    ...listPeers(),
  ]
}

/** Which servers the scenarios take their offered rates from. */
function references(): string {
  const used = [...new Set(scenarios.map(({ rateOf }) => rateOf))].filter((name) => name)
  return used.join(' or ')
}

function server(text: string): string {
  const known = allServers().map(({ name }) => name)
  if (text === OWN || known.includes(text)) return text
  throw new InvalidArgumentError(`There are ${OWN}, ${known.join(', ')}`)
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0')
  return value
}
