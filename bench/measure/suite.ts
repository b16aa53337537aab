// Everything that one npm run bench measures: each server in each scenario, round by round.

import type { Scenario } from '../load/scenario.ts'
import { NOT_MEASURED, type Row, summarizeRuns } from '../report/summary.ts'
import { checkConformance } from '../servers/conformance.ts'
import { type BenchDatabase, startDatabase } from '../servers/database.ts'
import {
  blameMemory,
  type ServerKind,
  startServer,
  takesPart,
  whyMissing,
} from '../servers/kind.ts'
import {
  findOfferedRate,
  findReference,
  type OfferedRate,
  type RateOptions,
} from './offered-rate.ts'
import { createProgress, type Progress } from './progress.ts'
import { type LoadOptions, measureServer, type Run } from './run.ts'

export interface SuiteOptions {
  scenarios: readonly Scenario[]
  kinds: readonly ServerKind[]
  rounds: number
  /** Without a rate: that follows from `rate`. */
  load: Omit<LoadOptions, 'rate'>
  rate: RateOptions
}

export interface SuiteResult {
  rows: Row[]
  runs: Run[]
  rates: OfferedRate[]
  postgresVersion: string
}

export async function measureSuite(
  options: SuiteOptions,
  signal: AbortSignal,
): Promise<SuiteResult> {
  const missing = new Map(
    options.kinds.flatMap((kind) => {
      const reason = whyMissing(kind)
      return reason ? [[kind.name, `${NOT_MEASURED}: ${reason}`]] : []
    }),
  )
  const present = options.kinds.filter(({ name }) => !missing.has(name))
  const progress = createProgress(countSteps(options, present))
  for (const [name, reason] of missing) progress.note(`${name} is ${reason}`)
  const database = await startDatabase(signal)
  try {
    const suite = new Suite(options, database, progress, signal, missing)
    await suite.verify(present)
    for (const scenario of options.scenarios) await suite.measure(scenario, present)
    return { ...suite.result(), postgresVersion: database.version }
  } finally {
    progress.stop()
    await database.stop()
  }
}

class Suite {
  readonly #options: SuiteOptions
  readonly #database: BenchDatabase
  readonly #progress: Progress
  readonly #signal: AbortSignal
  /** Why a server has no figures, by its name; or by its name and a scenario's, where only that failed. */
  readonly #complaints: Map<string, string>
  readonly #runs: Run[] = []
  readonly #rates: OfferedRate[] = []

  constructor(
    options: SuiteOptions,
    database: BenchDatabase,
    progress: Progress,
    signal: AbortSignal,
    missing: ReadonlyMap<string, string>,
  ) {
    this.#options = options
    this.#database = database
    this.#progress = progress
    this.#signal = signal
    this.#complaints = new Map(missing)
  }

  /** Each server must answer every request of the check as it should, or it is not timed. */
  async verify(kinds: readonly ServerKind[]): Promise<void> {
    for (const kind of kinds.filter(({ measure }) => !measure)) {
      this.#progress.step(`check of ${kind.name}`)
      const complaint = await this.#check(kind).catch((error: unknown) => this.#explain(error))
      if (complaint) this.#complain(kind.name, complaint)
    }
  }

  async measure(scenario: Scenario, present: readonly ServerKind[]): Promise<void> {
    const { rounds, load, rate } = this.#options
    const kinds = present.filter(
      (kind) => takesPart(kind, scenario) && !this.#complaints.has(kind.name),
    )
    const reference = findReference(scenario, rate, kinds)
    if (reference) this.#progress.step(`${scenario.name}, offered rate: ${reference.name}`)
    const found = await findOfferedRate(
      scenario,
      rate,
      reference,
      this.#database,
      load,
      this.#signal,
    )
    if (!scenario.closedOnly) this.#rates.push(found)
    const offered = found.per_second ? { perSecond: found.per_second } : { share: rate.share }
    for (let round = 0; round < rounds; round += 1) {
      for (const kind of rotate(kinds, round)) {
        this.#progress.step(`${scenario.name}, round ${round + 1}: ${kind.name}`)
        await this.#measureOnce(kind, scenario, round, { ...load, rate: offered })
      }
    }
  }

  result(): Omit<SuiteResult, 'postgresVersion'> {
    const rows = this.#options.scenarios.flatMap((scenario) =>
      this.#options.kinds
        .filter((kind) => takesPart(kind, scenario))
        .map((kind) => this.#toRow(kind.name, scenario.name)),
    )
    return { rows, runs: this.#runs, rates: this.#rates }
  }

  /** One server that fails costs its row, not the rows of all others. */
  async #measureOnce(
    kind: ServerKind,
    scenario: Scenario,
    round: number,
    load: LoadOptions,
  ): Promise<void> {
    const name = keyOf(kind.name, scenario.name)
    if (this.#complaints.has(name)) return
    try {
      const run = await measureServer(kind, scenario, round, this.#database, load, this.#signal)
      this.#runs.push(run)
    } catch (error) {
      this.#complain(name, this.#explain(error))
    }
  }

  async #check(kind: ServerKind): Promise<string | undefined> {
    const clone = await this.#database.clone()
    try {
      const server = await startServer(kind, clone.url, this.#signal)
      const serves = kind.serves.includes('tasks') ? 'tasks' : 'json'
      const found = await blameMemory(server.cgroup, () =>
        checkConformance(server.url, serves, this.#database.users),
      ).finally(() => server.stop())
      return found.length === 0 ? undefined : `does not conform: ${found.join('; ')}`
    } finally {
      await clone.drop()
    }
  }

  #toRow(server: string, scenario: string): Row {
    const complaint = this.#complaints.get(server) ?? this.#complaints.get(keyOf(server, scenario))
    const own = this.#runs.filter((run) => run.server === server && run.scenario === scenario)
    const row =
      own.length > 0
        ? summarizeRuns(own)
        : { server, scenario, rounds: 0, generator_limited: false, invalid: NOT_MEASURED }
    return complaint ? { ...row, invalid: complaint } : row
  }

  #complain(name: string, complaint: string): void {
    this.#complaints.set(name, complaint)
    this.#progress.note(`${name}: ${complaint}`)
  }

  /** An error in one line; rethrown when the whole run is to stop. */
  #explain(error: unknown): string {
    this.#signal.throwIfAborted()
    return `failed: ${error instanceof Error ? error.message : String(error)}`
  }
}

function countSteps({ scenarios, rounds, rate }: SuiteOptions, kinds: readonly ServerKind[]) {
  const checks = kinds.filter(({ measure }) => !measure).length
  const steps = scenarios.map((scenario) => {
    const own = kinds.filter((kind) => takesPart(kind, scenario))
    return (findReference(scenario, rate, own) ? 1 : 0) + rounds * own.length
  })
  return steps.reduce((total, count) => total + count, checks)
}

/** Another server goes first in each round, so that none always has the warmer or cooler machine. */
function rotate<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

function keyOf(server: string, scenario: string): string {
  return `${server} in ${scenario}`
}
