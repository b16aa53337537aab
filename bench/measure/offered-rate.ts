// The rate that the open loops of a scenario offer: the same to every server, a share of what a reference can do.
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario } from '../load/scenario.ts'
import type { BenchDatabase } from '../servers/database.ts'
import type { ServerKind } from '../servers/kind.ts'
import { measureServer } from './run.ts'

/** Given in place of a server's name: each server is offered a share of its own throughput. */
export const OWN = 'own'

export interface OfferedRate {
  scenario: string
  /** Absent when each server is offered a share of its own throughput. */
  per_second?: number
  /** The share of a throughput; absent when the command gives the rate itself. */
  share?: number
  /** The server whose throughput the share is of. */
  reference?: Reference
}

/** Without `requests_per_second`, there is a reason why each server's own throughput counts instead. */
interface Reference {
  server: string
  requests_per_second?: number
  reason?: 'is not measured' | 'could not be measured'
}

export interface RateOptions {
  share: number
  perSecond?: number
  /** Server whose throughput counts, in place of the scenario's own choice. */
  reference?: string
}

/** The server among `kinds` that `scenario` takes its rate from, or `undefined`. */
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
  const name = rate.reference ?? scenario.rateOf
  return name === OWN ? undefined : name
}

/** Runs one closed loop of `kind`, the reference, when there is one and it can be measured. */
export async function findOfferedRate(
  scenario: Scenario,
  rate: RateOptions,
  kind: ServerKind | undefined,
  database: BenchDatabase,
  load: Omit<LoadOptions, 'rate'>,
  signal: AbortSignal,
): Promise<OfferedRate> {
  const otherwise = rateWithoutReference(scenario.name, rate)
  const server = referenceOf(scenario, rate)
  if (!server) return otherwise
  if (!kind) return { ...otherwise, reference: { server, reason: 'is not measured' } }
  try {
    const { closed } = await measureServer(kind, scenario, 0, database, load, signal)
    if (closed.errors > 0) throw new Error(`${closed.errors} requests failed`)
    return {
      scenario: scenario.name,
      per_second: closed.requests_per_second * rate.share,
      share: rate.share,
      reference: { server, requests_per_second: closed.requests_per_second },
    }
  } catch (error) {
    if (signal.aborted) throw error
    return { ...otherwise, reference: { server, reason: 'could not be measured' } }
  }
}

export function rateWithoutReference(
  scenario: string,
  { share, perSecond }: RateOptions,
): OfferedRate {
  return perSecond === undefined ? { scenario, share } : { scenario, per_second: perSecond }
}
