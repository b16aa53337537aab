// npm run bench:profile: where a listener spends the CPU of a request, as a table and a picture.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { choose, list } from './cli/names.ts'
import { untilStopped } from './cli/until-stopped.ts'
import type { Scenario } from './load/scenario.ts'
import { type CpuProfile, groupByStage, type StageTime } from './measure/profile-stages.ts'
import { measureServer } from './measure/run.ts'
import { drawStages } from './report/charts.ts'
import { describeCommand, describeCommit, describeMachine } from './report/machine.ts'
import { scenarios } from './scenarios/all.ts'
import { type BenchDatabase, startDatabase } from './servers/database.ts'
import { ourService, type ServerKind, V8_FLAGS } from './servers/kind.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = join(ROOT, 'bench/results')

const program = new Command('npm run bench:profile --')
  .description('Show where one listener and PostgreSQL spend the CPU of a request.')
  .option(
    '--scenarios <names>',
    'comma-separated',
    'json,task-read,task-read-single,task-list,task-create,task-patch',
  )
  .option('--duration <seconds>', 'length of each load', '5')
  .option('--output <folder>', 'where the report goes', RESULTS)
  .showHelpAfterError()

const options = program.parse().opts<{ scenarios: string; duration: string; output: string }>()

const chosen = choose(program, scenarios, list(options.scenarios))
await untilStopped(profile)

async function profile(signal: AbortSignal): Promise<void> {
  const database = await startDatabase(signal)
  try {
    const times: StageTime[] = []
    for (const scenario of chosen) {
      process.stderr.write(`${scenario.name}\n`)
      times.push(...(await measureStages(scenario, database, signal)))
    }
    await mkdir(options.output, { recursive: true })
    await writeFile(join(options.output, 'stages.svg'), await drawStages(times))
    await writeFile(join(options.output, 'stages.md'), render(times, database.version))
    process.stderr.write(`Written to ${options.output}: stages.md, stages.svg\n`)
  } finally {
    await database.stop()
  }
}

async function measureStages(
  scenario: Scenario,
  database: BenchDatabase,
  signal: AbortSignal,
): Promise<StageTime[]> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-profile-'))
  try {
    const load = { connections: 64, warmupSeconds: 1, durationSeconds: Number(options.duration) }
    const run = await measureServer(profiled(folder), scenario, 0, database, load, signal)
    const stages = new Map<string, number>()
    for (const [stage, share] of groupByStage(await readProfile(folder))) {
      stages.set(stage, share * (run.server_cpu_us ?? 0))
    }
    if (run.database_cpu_us !== undefined) stages.set('PostgreSQL', run.database_cpu_us)
    return [...stages].map(([stage, us]) => ({ scenario: scenario.name, stage, us }))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * One listener from its sources, so that functions have names, which writes its profile when it ends. It gets the driver
 * as the bundle has it.
 */
function profiled(folder: string): ServerKind {
  const kind = ourService(ROOT, 'taskapi', { LISTENERS: '1' })
  const entry = join(ROOT, 'src/server/main.ts')
  const flags = [
    ...V8_FLAGS,
    `--import=${join(ROOT, 'build/register-driver-changes.ts')}`,
    '--cpu-prof',
    `--cpu-prof-dir=${folder}`,
  ]
  return { ...kind, prepare: () => undefined, command: [process.execPath, ...flags, entry] }
}

async function readProfile(folder: string): Promise<CpuProfile> {
  const [file] = await readdir(folder)
  if (!file) throw new Error('The listener left no profile')
  return JSON.parse(await readFile(join(folder, file), 'utf8'))
}

function render(times: readonly StageTime[], postgresVersion: string): string {
  const stages = [...new Set(times.map(({ stage }) => stage))]
  const cell = (scenario: string, stage: string) =>
    times.find((time) => time.scenario === scenario && time.stage === stage)?.us.toFixed(1) ?? ''
  const sum = (scenario: string) =>
    times
      .filter((time) => time.scenario === scenario)
      .reduce((total, { us }) => total + us, 0)
      .toFixed(1)
  const names = chosen.map(({ name }) => name)
  const rows = [
    ['us of CPU per request', ...names],
    ['---', ...names.map(() => '---')],
    ...stages.map((stage) => [stage, ...names.map((name) => cell(name, stage))]),
    ['**together**', ...names.map((name) => `**${sum(name)}**`)],
  ]
  const machine = describeMachine(postgresVersion)
  return `# How a request spends its microseconds

- date: ${new Date().toISOString()}
- commit: ${describeCommit(ROOT)}
- command: \`${describeCommand('bench:profile')}\`
- machine: ${machine.cpu}, ${machine.cpus} CPUs, Linux ${machine.kernel}, node ${machine.programs.node}, PostgreSQL ${postgresVersion}

CPU of one listener over all requests of a closed loop of 64 connections (one in \`task-read-single\`), read from /proc, and split as
the samples of V8's profiler fall; PostgreSQL's from /proc. A write is the system call with what the kernel does in it:
waking the other process, and for the client the way through TCP. Code of the start and of the warm-up is in the samples,
too.

![stages](stages.svg)

${rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
`
}
