// Everything that one npm run bench measures: each server in each scenario, round by round.
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario } from '../load/scenario.ts'
import { checkConformance } from '../servers/conformance.ts'
import { type BenchDatabase, startDatabase } from '../servers/database.ts'
import { type ServerKind, takesPart, usersFor, whyMissing } from '../servers/kind.ts'
import { blameMemory } from '../servers/memory-cgroup.ts'
import { startServer } from '../servers/running-server.ts'
import {
  findOfferedRate,
  findReference,
  type OfferedRate,
  type RateOptions,
} from './offered-rate.ts'
import { createProgress, type Progress } from './progress.ts'
import { measureServer, type Run } from './run.ts'

/** How the complaint about an entry begins that was never tried. */
export const NOT_MEASURED = 'not measured'

export interface SuiteOptions {
  scenarios: readonly Scenario[]
  kinds: readonly ServerKind[]
  rounds: number
  /** Without a rate, which `rate` leads to. */
  load: Omit<LoadOptions, 'rate'>
  rate: RateOptions
}

/** One server in one scenario: what was to be measured. */
export interface Entry {
  server: string
  scenario: string
  /** Why it has no figures, or none to trust. */
  complaint?: string
}

export interface SuiteResult {
  /** In the order of the report. */
  entries: Entry[]
  /** In the order in which they were measured. */
  runs: Run[]
  rates: OfferedRate[]
  /** Absent where PostgreSQL is not ours. */
  postgresVersion?: string
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
  /** Why a server has no figures: by its name, or by its name and a scenario's where only that scenario failed. */
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

  /** Times no server that does not answer every request of the check as it should. */
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

  result(): SuiteResult {
    const entries = this.#options.scenarios.flatMap((scenario) =>
      this.#options.kinds
        .filter((kind) => takesPart(kind, scenario))
        .map((kind) => this.#toEntry(kind.name, scenario.name)),
    )
    return { entries, runs: this.#runs, rates: this.#rates }
  }

  /** A server that fails loses its own row; all others keep theirs. */
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
        checkConformance(server.url, serves, usersFor(kind, this.#database.users)),
      ).finally(() => server.stop())
      return found.length === 0 ? undefined : `does not conform: ${found.join('; ')}`
    } finally {
      await clone.drop()
    }
  }

  #toEntry(server: string, scenario: string): Entry {
    const complaint = this.#complaints.get(server) ?? this.#complaints.get(keyOf(server, scenario))
    return complaint ? { server, scenario, complaint } : { server, scenario }
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

/** Starts each round with another server, so that none always gets the machine while it is warmer or cooler. */
function rotate<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

function keyOf(server: string, scenario: string): string {
  return `${server} in ${scenario}`
}
