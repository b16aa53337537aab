// Measures a service that is already running, wherever it is, and knows nothing of its processes.
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario } from '../load/scenario.ts'
import { seedTarget } from '../servers/target.ts'
import { measureLoad } from './load.ts'
import { type RateOptions, rateWithoutReference } from './offered-rate.ts'
import { createProgress } from './progress.ts'
import type { Run } from './run.ts'
import type { SuiteResult } from './suite.ts'

export interface TargetOptions {
  scenarios: readonly Scenario[]
  rounds: number
  load: Omit<LoadOptions, 'rate'>
  rate: RateOptions
}

export async function measureTarget(
  url: string,
  { scenarios, rounds, load, rate }: TargetOptions,
  signal: AbortSignal,
): Promise<SuiteResult> {
  const users = await seedTarget(url)
  const { share, perSecond } = rate
  const offered = perSecond === undefined ? { share } : { perSecond }
  const progress = createProgress(scenarios.length * rounds)
  const runs: Run[] = []
  try {
    for (const scenario of scenarios) {
      for (let round = 0; round < rounds; round += 1) {
        progress.step(`${scenario.name}, round ${round + 1}`)
        const result = await measureLoad(url, scenario, users, { ...load, rate: offered }, signal)
        runs.push({ server: url, round, ...result })
      }
    }
  } finally {
    progress.stop()
  }
  return {
    entries: scenarios.map(({ name }) => ({ server: url, scenario: name })),
    runs,
    rates: scenarios.map(({ name }) => rateWithoutReference(name, rate)),
  }
}
