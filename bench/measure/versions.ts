// Versions of this service in alternating rounds, so that all of them meet the same weather on the machine.
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario } from '../load/scenario.ts'
import { startDatabase } from '../servers/database.ts'
import type { ServerKind } from '../servers/kind.ts'
import { createProgress } from './progress.ts'
import { measureServer, type Run } from './run.ts'

export interface VersionsOptions {
  kinds: readonly ServerKind[]
  scenarios: readonly Scenario[]
  rounds: number
  load: LoadOptions
}

export async function measureVersions(
  { kinds, scenarios, rounds, load }: VersionsOptions,
  signal: AbortSignal,
): Promise<Run[]> {
  const progress = createProgress(scenarios.length * rounds * kinds.length)
  const database = await startDatabase(signal)
  const runs: Run[] = []
  try {
    for (const scenario of scenarios) {
      for (let round = 0; round < rounds; round += 1) {
        for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
          progress.step(`${scenario.name}, round ${round + 1}: ${kind.name}`)
          runs.push(await measureServer(kind, scenario, round, database, load, signal))
        }
      }
    }
  } finally {
    progress.stop()
    await database.stop()
  }
  return runs
}
