// Which rate the open loops of a scenario offer: the same to every server, from what a reference can do.

import type { Scenario } from '../load/scenario.ts'
import { count } from '../report/format.ts'
import type { BenchDatabase } from '../servers/database.ts'
import type { ServerKind } from '../servers/kind.ts'
import { type LoadOptions, measureServer } from './run.ts'

/** Given instead of a server's name, it has each server offered a share of its own throughput. */
export const OWN = 'own'

export interface OfferedRate {
  scenario: string
  /** Absent when each server is offered a share of its own throughput. */
  per_second?: number
  /** In words, for the report. */
  rule: string
}

export interface RateOptions {
  share: number
  perSecond?: number
  /** Server whose throughput counts, in place of the scenario's own choice. */
  of?: string
}

/** The server among `kinds` that `scenario` is calibrated with, or `undefined`. */
export function findReference(
  scenario: Scenario,
  rate: RateOptions,
  kinds: readonly ServerKind[],
): ServerKind | undefined {
  const wanted = referenceOf(scenario, rate)
  return kinds.find(({ name }) => name === wanted)
}

function referenceOf(scenario: Scenario, rate: RateOptions): string | undefined {
  if (scenario.closedOnly || rate.perSecond !== undefined) return undefined
  const name = rate.of ?? scenario.rateOf
  return name === OWN ? undefined : name
}

/** One closed loop of `kind`, the reference, when there is one and it can be measured. */
export async function findOfferedRate(
  scenario: Scenario,
  rate: RateOptions,
  kind: ServerKind | undefined,
  database: BenchDatabase,
  load: Omit<LoadOptions, 'rate'>,
  signal: AbortSignal,
): Promise<OfferedRate> {
  const otherwise = rateWithoutReference(scenario.name, rate)
  const name = referenceOf(scenario, rate)
  if (!name) return otherwise
  if (!kind) return { ...otherwise, rule: `${otherwise.rule}, as ${name} is not measured` }
  try {
    const { closed } = await measureServer(kind, scenario, 0, database, load, signal)
    if (closed.errors > 0) throw new Error(`${closed.errors} requests failed`)
    return {
      scenario: scenario.name,
      per_second: closed.requests_per_second * rate.share,
      rule: `${rate.share} of the ${count(closed.requests_per_second)} requests/s of ${name}, to every server`,
    }
  } catch (error) {
    if (signal.aborted) throw error
    return { ...otherwise, rule: `${otherwise.rule}, as ${name} could not be measured` }
  }
}

export function rateWithoutReference(
  scenario: string,
  { share, perSecond }: RateOptions,
): OfferedRate {
  return perSecond === undefined
    ? { scenario, rule: `${share} of each server's own throughput of the run` }
    : { scenario, per_second: perSecond, rule: `${count(perSecond)}/s, as the command says` }
}
