// npm run bench:profile: where a listener spends the CPU of a request, as a table and a picture.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCommand, durationOption, outputOption, scenariosOption } from './cli/options.ts'
import { untilStopped } from './cli/until-stopped.ts'
import type { Scenario } from './load/scenario.ts'
import { measureStages } from './measure/profile.ts'
import type { StageTime } from './measure/profile-stages.ts'
import { drawStages } from './report/charts.ts'
import { describeCommand, describeCommit, describeMachine } from './report/machine.ts'
import { renderStages } from './report/stages.ts'
import { ROOT } from './root.ts'
import { startDatabase } from './servers/database.ts'

interface Options {
  scenarios: readonly Scenario[]
  duration: number
  output: string
}

const { scenarios, duration, output } = createCommand(
  'bench:profile',
  'Show where one listener and PostgreSQL spend the CPU of a request.',
)
  .addOption(
    scenariosOption([
      'json',
      'task-read',
      'task-read-single',
      'task-list',
      'task-create',
      'task-patch',
    ]),
  )
  .addOption(durationOption(5))
  .addOption(outputOption('the report'))
  .parse()
  .opts<Options>()

await untilStopped(async (signal) => {
  const database = await startDatabase(signal)
  try {
    const times: StageTime[] = []
    for (const scenario of scenarios) {
      process.stderr.write(`${scenario.name}\n`)
      times.push(...(await measureStages(scenario, database, duration, signal)))
    }
    await write(times, database.version)
  } finally {
    await database.stop()
  }
})

async function write(times: readonly StageTime[], postgresVersion: string): Promise<void> {
  const report = {
    date: new Date().toISOString(),
    commit: describeCommit(ROOT),
    command: describeCommand('bench:profile'),
    machine: describeMachine(postgresVersion),
    times,
  }
  await mkdir(output, { recursive: true })
  await writeFile(join(output, 'stages.svg'), await drawStages(times))
  await writeFile(join(output, 'stages.md'), renderStages(report))
  process.stderr.write(`Written to ${output}: stages.md, stages.svg\n`)
}
