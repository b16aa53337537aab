// npm run bench: measures this service and its peers side by side, and writes the report.
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Option } from 'commander'
import {
  addLoadOptions,
  createCommand,
  type LoadFlags,
  outputOption,
  ratePerSecondOption,
  scenariosOption,
  serversOption,
  toLoad,
} from './cli/options.ts'
import { untilStopped } from './cli/until-stopped.ts'
import { decimalNumber, httpOrigin, oneOf } from './cli/values.ts'
import type { Scenario } from './load/scenario.ts'
import { OWN, type RateOptions } from './measure/offered-rate.ts'
import { measureSuite, type SuiteResult } from './measure/suite.ts'
import { measureTarget } from './measure/target.ts'
import { drawCharts } from './report/charts.ts'
import { computeGoals } from './report/goals.ts'
import type { GrowthReport } from './report/growth.ts'
import { describeCommand, describeCommit, describeMachine } from './report/machine.ts'
import { renderHtml } from './report/page.ts'
import { type Report, renderMarkdown } from './report/report.ts'
import { makeRows } from './report/summary.ts'
import { ROOT } from './root.ts'
import { scenarios } from './scenarios/all.ts'
import { allServers } from './servers/all.ts'
import type { ServerKind } from './servers/kind.ts'

const RATE_SHARE_MIN = 0.01
const RATE_SHARE_MAX = 10

interface Options extends LoadFlags {
  scenarios: readonly Scenario[]
  servers: readonly ServerKind[]
  rate: number
  rateOf?: string
  ratePerSecond?: number
  target?: string
  output: string
}

const options = readOptions()

await untilStopped(async (signal) => {
  const { target, servers, rounds } = options
  const load = toLoad(options)
  const common = { scenarios: options.scenarios, rounds, load, rate: rateOptions() }
  if (target) {
    const result = await measureTarget(target, common, signal)
    process.stdout.write(renderMarkdown(makeReport(result, [], undefined)))
  } else {
    const result = await measureSuite({ ...common, kinds: servers }, signal)
    await write(makeReport(result, servers, await readGrowth()))
  }
})

function readOptions(): Options {
  const kinds = allServers()
  const command = createCommand(
    'bench',
    'Measure this service and its peers side by side on this machine.',
  )
    .addOption(scenariosOption())
    .addOption(serversOption(kinds))
  return addLoadOptions(command, { connections: 64, duration: 5, warmup: 2, rounds: 3 })
    .option(
      '--rate <share>',
      'offered rate of the latency runs, as a share of the throughput of the server that --rate-of names',
      decimalNumber(RATE_SHARE_MIN, RATE_SHARE_MAX),
      0.5,
    )
    .option(
      '--rate-of <server>',
      `the server whose throughput --rate is a share of, for all servers; "${OWN}": each its own (default: the scenario's choice, ${references()})`,
      oneOf([OWN, ...kinds.map(({ name }) => name)]),
    )
    .addOption(ratePerSecondOption().conflicts(['rate', 'rateOf']))
    .addOption(
      new Option(
        '--target <url>',
        'measure a running service instead, and print the report: the service gets an account and 100 tasks, and is offered a share of its own throughput',
      )
        .argParser(httpOrigin)
        .conflicts(['servers', 'rateOf', 'output']),
    )
    .addOption(outputOption('the report'))
    .parse()
    .opts<Options>()
}

function makeReport(
  result: SuiteResult,
  kinds: readonly ServerKind[],
  growth: GrowthReport | undefined,
): Report {
  const rows = makeRows(result)
  return {
    date: new Date().toISOString(),
    commit: describeCommit(ROOT),
    command: describeCommand('bench'),
    machine: describeMachine(result.postgresVersion),
    load: toLoad(options),
    rounds: options.rounds,
    servers: kinds.map(({ name, language, versions }) => ({ name, language, versions })),
    scenarios: scenarios.map(({ name, about }) => ({ name, about })),
    // A service that runs elsewhere is measured alone, and the goals are about ratios.
    goals: kinds.length > 0 ? computeGoals({ rows, growth }) : [],
    rates: result.rates,
    rows,
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

function rateOptions(): RateOptions {
  const { rate, ratePerSecond, rateOf } = options
  return {
    share: rate,
    ...(ratePerSecond === undefined ? {} : { perSecond: ratePerSecond }),
    ...(rateOf === undefined ? {} : { reference: rateOf }),
  }
}

/** The servers that the scenarios take their offered rates from. */
function references(): string {
  const used = [...new Set(scenarios.map(({ rateOf }) => rateOf))].filter((name) => name)
  return used.join(' or ')
}
