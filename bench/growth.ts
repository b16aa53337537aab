// npm run bench:growth: what it costs to have a hundred times as many tasks, and to be at the end of a long list.
import { mkdir, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import {
  addLoadOptions,
  createCommand,
  type LoadFlags,
  outputOption,
  toLoad,
} from './cli/options.ts'
import { untilStopped } from './cli/until-stopped.ts'
import { wholeNumber } from './cli/values.ts'
import { type GrowthResult, measureGrowth } from './measure/growth.ts'
import { type GrowthReport, renderGrowth } from './report/growth.ts'
import { describeCommand, describeCommit, describeMachine } from './report/machine.ts'
import { ROOT } from './root.ts'
import { taskList } from './scenarios/task-list.ts'
import { taskRead } from './scenarios/task-read.ts'
import { TASKS_PER_USER, USERS } from './servers/database.ts'

const TASKS_SMALL = USERS * TASKS_PER_USER
const TASKS_MAX = 1_000_000_000
/** Two pages of 20. */
const BIG_USER_TASKS_MIN = 40
/** A quarter of the memory, as PostgreSQL's manual advises for a machine that runs nothing else. */
const BUFFERS_MB = Math.floor(totalmem() / 4 / 1024 ** 2)

interface Options extends LoadFlags {
  tasks: number
  bigUser: number
  page: number
  output: string
}

const options = addLoadOptions(
  createCommand(
    'bench:growth',
    `Measure this service with ${TASKS_SMALL} tasks and with many, and the far pages of one user's list.`,
  )
    .option(
      '--tasks <n>',
      `tasks of the ${USERS} users of the large database`,
      wholeNumber(TASKS_SMALL, TASKS_MAX),
      10_000_000,
    )
    .option(
      '--big-user <n>',
      'tasks of the one user whose pages are measured',
      wholeNumber(BIG_USER_TASKS_MIN, TASKS_MAX),
      1_000_000,
    )
    .option(
      '--page <n>',
      'the far page, of 20 tasks each; the last one when there are fewer',
      wholeNumber(2, TASKS_MAX),
      10_000,
    ),
  { connections: 64, duration: 5, warmup: 2, rounds: 3 },
)
  .addOption(outputOption('growth.json and growth.md'))
  .parse()
  .opts<Options>()
const load = toLoad(options)
/** The same for each user. */
const tasksPerUser = Math.round(options.tasks / USERS)

await untilStopped(async (signal) => {
  const { rounds, page, bigUser } = options
  const result = await measureGrowth(
    {
      scenarios: [taskRead, taskList],
      tasksPerUser,
      bigUserTasks: bigUser,
      page,
      rounds,
      load,
      buffersMb: BUFFERS_MB,
    },
    signal,
  )
  await write(result)
})

async function write({ reads, pages, postgresVersion }: GrowthResult): Promise<void> {
  const report: GrowthReport = {
    date: new Date().toISOString(),
    commit: describeCommit(ROOT),
    buffers_mb: BUFFERS_MB,
    command: describeCommand('bench:growth'),
    machine: describeMachine(postgresVersion),
    load,
    rounds: options.rounds,
    tasks_small: TASKS_SMALL,
    tasks_large: USERS * tasksPerUser,
    reads,
    pages,
  }
  await mkdir(options.output, { recursive: true })
  await writeFile(join(options.output, 'growth.json'), `${JSON.stringify(report, null, 1)}\n`)
  await writeFile(join(options.output, 'growth.md'), renderGrowth(report))
  process.stderr.write(`Written to ${options.output}: growth.md, growth.json\n`)
}
