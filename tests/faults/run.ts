// npm run test:faults: runs every scenario in full, or some, and writes what they have shown into the report.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { Command } from 'commander'
import { openRunFolder } from '../support/run-folder.ts'
import { scenarios } from './all.ts'
import { describeRun, type Entry, updateReport } from './report.ts'
import type { Outcome, Scenario } from './scenario.ts'
import { descendantsOf, type FaultServer, openServer } from './server.ts'

interface Options {
  only?: string[]
  scale: string
  seed: string
  client: string
  output: string
}

const ROOT = join(import.meta.dirname, '../..')
const options = readOptions()
const seed = Number(options.seed)
const scale = Number(options.scale)
const { only } = options
const unknown = (only ?? []).filter((name) => !scenarios.some((known) => known.name === name))
if (unknown.length > 0) throw new Error(`There is no scenario "${unknown.join('", "')}"`)
const chosen = scenarios.filter(({ name }) => !only || only.includes(name))
const run = describeRun({ seed, scale, client: options.client }, ROOT)
const entries: Entry[] = []
say(`seed ${seed}, scale ${scale}, client ${options.client}`)
execFileSync(process.execPath, [join(ROOT, 'build/bundle.ts')], { stdio: ['ignore', 2, 2] })
const program = join(ROOT, 'dist/server/main.cjs')
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
  const entry = await play(scenario)
  // What was cut off says nothing.
  if (interrupted) break
  entries.push(entry)
  for (const { name, measured, limit } of entry.figures) {
    say(`  ${measured <= limit ? 'kept  ' : 'MISSED'} ${name}: ${measured} (limit ${limit})`)
  }
  await updateReport(options.output, scenarios, entries)
}
await removeRunFolder()
const missed = entries.some(({ figures }) =>
  figures.some(({ measured, limit }) => !(measured <= limit)),
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
async function play(scenario: Scenario): Promise<Entry> {
  const startedAt = performance.now()
  server = await openServer()
  const note = (text: string) => say(`  ${text}`)
  let outcome: Outcome
  try {
    outcome = await scenario.run({
      server,
      entry: program,
      client: options.client,
      seed,
      scale,
      note,
    })
  } catch (error) {
    const examples = [String(error)]
    const figure = { name: 'scenarios that could not go on', measured: 1, limit: 0, examples }
    outcome = { done: 'Ended early', figures: [figure] }
  } finally {
    await server.close()
  }
  const seconds = (performance.now() - startedAt) / 1000
  return { ...outcome, scenario: scenario.name, seconds, run }
}

function readOptions(): Options {
  return new Command('test:faults')
    .description(
      'Break what the service depends on, under load, and measure whether its promises hold.',
    )
    .option('--only <name...>', `scenarios (${scenarios.map(({ name }) => name).join(', ')})`)
    .option('--scale <share>', 'share of the full run', '1')
    .option('--seed <number>', 'seed of delays and choices', String(Date.now() % 1_000_000))
    .option('--client <name>', 'DB_CLIENT of the services', 'wire')
    .option(
      '--output <file>',
      'the report; scenarios that do not run keep what it says',
      join(import.meta.dirname, 'REPORT.md'),
    )
    .parse()
    .opts<Options>()
}

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
}
