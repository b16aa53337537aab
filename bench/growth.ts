// npm run bench:growth: what it costs to have a hundred times as many tasks, and to be at the end of a long list.
import { mkdir, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { untilStopped } from './cli/until-stopped.ts'
import type { Scenario } from './load/scenario.ts'
import { measurePages } from './measure/deep-pages.ts'
import { createProgress, type Progress } from './measure/progress.ts'
import { measureOn, type SeededDatabase } from './measure/run.ts'
import {
  type GrowthPages,
  type GrowthRead,
  type GrowthReport,
  renderGrowth,
} from './report/growth.ts'
import { describeCommand, describeCommit, describeMachine } from './report/machine.ts'
import { spread } from './report/summary.ts'
import { taskList } from './scenarios/task-list.ts'
import { taskRead } from './scenarios/task-read.ts'
import { type BenchDatabase, startDatabase, TASKS_PER_USER, USERS } from './servers/database.ts'
import { ourService, startServer } from './servers/kind.ts'
import { growDatabase, type LargeDatabase } from './servers/large-database.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SCENARIOS: readonly Scenario[] = [taskRead, taskList]

interface Options {
  tasks: number
  bigUser: number
  page: number
  connections: number
  duration: number
  warmup: number
  rounds: number
  output: string
}

const options = new Command('npm run bench:growth --')
  .description(
    `Measure this service with ${USERS * TASKS_PER_USER} tasks and with many, and the far pages of one user's list.`,
  )
  .option('--tasks <n>', `tasks of the ${USERS} users of the large database`, whole, 10_000_000)
  .option('--big-user <n>', 'tasks of the one user whose pages are measured', whole, 1_000_000)
  .option('--page <n>', 'the far page, of 20 tasks each', whole, 10_000)
  .option('--connections <n>', 'kept connections', whole, 64)
  .option('--duration <seconds>', 'length of each measured load', whole, 5)
  .option('--warmup <seconds>', 'length of the load before it', whole, 2)
  .option('--rounds <n>', 'times everything is repeated', whole, 3)
  .option('--output <folder>', 'where growth.json and growth.md go', join(ROOT, 'bench/results'))
  .showHelpAfterError()
  .parse()
  .opts<Options>()
const load = {
  connections: options.connections,
  warmupSeconds: options.warmup,
  durationSeconds: options.duration,
}
/** A quarter of the memory, as PostgreSQL's manual advises for a machine of its own. */
const BUFFERS_MB = Math.floor(totalmem() / 4 / 1024 ** 2)
/** At least as many as in the small database, and a whole number for each user. */
const tasksPerUser = Math.max(TASKS_PER_USER, Math.round(options.tasks / USERS))

await untilStopped(measureGrowth)

async function measureGrowth(signal: AbortSignal): Promise<void> {
  const progress = createProgress(2 + SCENARIOS.length * options.rounds * 2)
  const database = await startDatabase(signal, { shared_buffers: `${BUFFERS_MB}MB` })
  try {
    progress.step(`making ${USERS * tasksPerUser + options.bigUser} tasks`)
    const small = await database.clone()
    const large = await database.clone()
    const grown = await growDatabase(large.url, tasksPerUser, options.bigUser)
    const { pid, users } = database
    const reads = await measureReads(
      { url: small.url, users, pid },
      { url: large.url, users: grown.users, pid },
      progress,
      signal,
    )
    progress.step(`page 1 and page ${options.page}`)
    await write(reads, await measureDeepPages(large.url, grown, signal), database)
  } finally {
    progress.stop()
    await database.stop()
  }
}

/** Rounds alternate between the two databases, and so does which comes first. */
async function measureReads(
  small: SeededDatabase,
  large: SeededDatabase,
  progress: Progress,
  signal: AbortSignal,
): Promise<GrowthRead[]> {
  const kind = ourService()
  const reads: GrowthRead[] = []
  for (const scenario of SCENARIOS) {
    const found = new Map<SeededDatabase, number[]>([
      [small, []],
      [large, []],
    ])
    for (let round = 0; round < options.rounds; round += 1) {
      for (const database of round % 2 === 0 ? [small, large] : [large, small]) {
        const size = database === small ? 'small' : 'large'
        progress.step(`${scenario.name}, round ${round + 1}: ${size}`)
        const { closed } = await measureOn(kind, scenario, database, load, signal)
        if (closed.errors > 0) throw new Error(`${closed.errors} requests failed`)
        found.get(database)?.push(closed.requests_per_second)
      }
    }
    const [few, many] = [...found.values()].map(spread)
    if (few && many) {
      reads.push({
        scenario: scenario.name,
        small: few,
        large: many,
        ratio: many.median / few.median,
      })
    }
  }
  return reads
}

async function measureDeepPages(
  url: string,
  { bigUser }: LargeDatabase,
  signal: AbortSignal,
): Promise<GrowthPages> {
  const server = await startServer(ourService(), url, signal)
  try {
    return await measurePages(server.url, bigUser, options.bigUser, options.page, signal)
  } finally {
    await server.stop()
  }
}

async function write(
  reads: GrowthRead[],
  pages: GrowthPages,
  { version }: BenchDatabase,
): Promise<void> {
  const report: GrowthReport = {
    date: new Date().toISOString(),
    commit: describeCommit(ROOT),
    buffers_mb: BUFFERS_MB,
    command: describeCommand('bench:growth'),
    machine: describeMachine(version),
    load,
    rounds: options.rounds,
    tasks_small: USERS * TASKS_PER_USER,
    tasks_large: USERS * tasksPerUser,
    reads,
    pages,
  }
  await mkdir(options.output, { recursive: true })
  await writeFile(join(options.output, 'growth.json'), `${JSON.stringify(report, null, 1)}\n`)
  await writeFile(join(options.output, 'growth.md'), renderGrowth(report))
  process.stderr.write(`Written to ${options.output}: growth.md, growth.json\n`)
}

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError('It must be a whole number above 0')
  }
  return value
}
