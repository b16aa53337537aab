// npm run test:faults: runs every scenario in full, and writes the report.
import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { openRunFolder } from '../support/run-folder.ts'
import { scenarios } from './all.ts'
import { type Result, renderReport } from './report.ts'
import type { Outcome, Scenario } from './scenario.ts'
import { descendantsOf, type FaultServer, openServer } from './server.ts'

interface Options {
  only?: string[]
  full?: string[]
  scale: string
  seed: string
  client: string
  output: string
}

const ROOT = join(import.meta.dirname, '../..')
const options = readOptions()
const seed = Number(options.seed)
const scale = Number(options.scale)
const { only, full = [] } = options
const unknown = [...(only ?? []), ...full].filter(
  (name) => !scenarios.some((scenario) => scenario.name === name),
)
if (unknown.length > 0) throw new Error(`There is no scenario "${unknown.join('", "')}"`)
const chosen = scenarios.filter(({ name }) => !only || only.includes(name))
const results: Result[] = []
say(`seed ${seed}, scale ${scale}, client ${options.client}`)
execFileSync(process.execPath, [join(ROOT, 'build/bundle.ts')], { stdio: ['ignore', 2, 2] })
const entry = join(ROOT, 'dist/server/main.cjs')
const removeRunFolder = await openRunFolder()
let server: FaultServer | undefined
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt(signal))
for (const scenario of chosen) {
  if (interrupted) break
  say(`${scenario.name}: ${scenario.promise}`)
  if (scenario.isPossible?.() === false) {
    say('  not possible here')
    continue
  }
  const result = await play(scenario)
  // What was cut off says nothing.
  if (interrupted) break
  results.push(result)
  for (const { name, measured, limit } of result.outcome.figures) {
    say(`  ${measured <= limit ? 'kept  ' : 'MISSED'} ${name}: ${measured} (limit ${limit})`)
  }
  await writeFile(
    options.output,
    renderReport(results, { seed, scale, full, client: options.client }),
  )
}
await removeRunFolder()
const missed = results.some(({ outcome }) =>
  outcome.figures.some(({ measured, limit }) => !(measured <= limit)),
)
// A scenario that could not go on may have left something behind, which would keep this process.
endDescendants()
process.exit(missed ? 1 : 0)

/**
 * Ends whatever the scenario has started, and then this process. A signal from a terminal reaches the services, but not
 * PostgreSQL, which runs in its own session; one from elsewhere reaches neither.
 */
function interrupt(signal: NodeJS.Signals): void {
  interrupted = true
  const stopped = server?.kill().then(() => server?.close())
  void Promise.resolve(stopped).finally(() => {
    endDescendants()
    process.kill(process.pid, signal)
  })
}

function endDescendants(): void {
  for (const pid of descendantsOf(process.pid)) endProcess(pid)
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Each has its own server: one that failed half-way must not spoil the next. */
async function play(scenario: Scenario): Promise<Result> {
  const startedAt = performance.now()
  server = await openServer()
  const note = (text: string) => say(`  ${text}`)
  let outcome: Outcome
  try {
    outcome = await scenario.run({
      server,
      entry,
      client: options.client,
      seed,
      scale: full.includes(scenario.name) ? 1 : scale,
      note,
    })
  } catch (error) {
    const examples = [String(error)]
    const figure = { name: 'scenarios that could not go on', measured: 1, limit: 0, examples }
    outcome = { done: 'Ended early', figures: [figure] }
  } finally {
    await server.close()
  }
  return { scenario, outcome, seconds: (performance.now() - startedAt) / 1000 }
}

function readOptions(): Options {
  return new Command('test:faults')
    .description(
      'Break what the service depends on, under load, and measure whether its promises hold.',
    )
    .option('--only <name...>', `scenarios (${scenarios.map(({ name }) => name).join(', ')})`)
    .option('--scale <share>', 'share of the full run', '1')
    .option('--full <name...>', 'scenarios that run in full whatever the scale')
    .option('--seed <number>', 'seed of delays and choices', String(Date.now() % 1_000_000))
    .option('--client <name>', 'DB_CLIENT of the services', 'wire')
    .option('--output <file>', 'the report', join(import.meta.dirname, 'REPORT.md'))
    .parse()
    .opts<Options>()
}

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
}
