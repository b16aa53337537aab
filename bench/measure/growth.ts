// What reads cost when there are a hundred times as many tasks, and at the end of a long list.
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario } from '../load/scenario.ts'
import { type SeededDatabase, startDatabase, USERS } from '../servers/database.ts'
import { growDatabase, type LargeDatabase } from '../servers/large-database.ts'
import { ourService } from '../servers/ours.ts'
import { startServer } from '../servers/running-server.ts'
import { type GrowthPages, measurePages } from './deep-pages.ts'
import { createProgress, type Progress } from './progress.ts'
import { measureOn } from './run.ts'
import { type Spread, spread } from './spread.ts'

const SIZES = ['small', 'large'] as const

export interface GrowthOptions {
  scenarios: readonly Scenario[]
  tasksPerUser: number
  bigUserTasks: number
  /** The far page; the first is 1. */
  page: number
  rounds: number
  load: LoadOptions
  /** PostgreSQL's shared_buffers. */
  buffersMb: number
}

/** One scenario on the small and on the large database, requests per second. */
export interface GrowthRead {
  scenario: string
  small: Spread
  large: Spread
  /** The median of the large database over that of the small one. */
  ratio: number
}

export interface GrowthResult {
  reads: GrowthRead[]
  pages: GrowthPages
  postgresVersion: string
}

export async function measureGrowth(
  options: GrowthOptions,
  signal: AbortSignal,
): Promise<GrowthResult> {
  const { scenarios, rounds, tasksPerUser, bigUserTasks, page, buffersMb } = options
  const progress = createProgress(2 + scenarios.length * rounds * 2)
  const database = await startDatabase(signal, { shared_buffers: `${buffersMb}MB` })
  try {
    progress.step(`making ${USERS * tasksPerUser + bigUserTasks} tasks`)
    const small = await database.clone()
    const large = await database.clone()
    const grown = await growDatabase(large.url, tasksPerUser, bigUserTasks)
    const { pid, users, version } = database
    const reads = await measureReads(
      options,
      { url: small.url, users, pid },
      { url: large.url, users: grown.users, pid },
      progress,
      signal,
    )
    progress.step(`page 1 and page ${page}`)
    const pages = await measureDeepPages(options, large.url, grown, signal)
    return { reads, pages, postgresVersion: version }
  } finally {
    progress.stop()
    await database.stop()
  }
}

/** Rounds alternate between the two databases, and so does which comes first. */
async function measureReads(
  { scenarios, rounds, load }: GrowthOptions,
  small: SeededDatabase,
  large: SeededDatabase,
  progress: Progress,
  signal: AbortSignal,
): Promise<GrowthRead[]> {
  const kind = ourService()
  const reads: GrowthRead[] = []
  for (const scenario of scenarios) {
    const found = { small: [] as number[], large: [] as number[] }
    for (let round = 0; round < rounds; round += 1) {
      for (const size of round % 2 === 0 ? SIZES : SIZES.toReversed()) {
        progress.step(`${scenario.name}, round ${round + 1}: ${size}`)
        const database = size === 'small' ? small : large
        const { closed } = await measureOn(kind, scenario, database, load, signal)
        if (closed.errors > 0) throw new Error(`${closed.errors} requests failed`)
        found[size].push(closed.requests_per_second)
      }
    }
    const few = spread(found.small)
    const many = spread(found.large)
    reads.push({
      scenario: scenario.name,
      small: few,
      large: many,
      ratio: many.median / few.median,
    })
  }
  return reads
}

async function measureDeepPages(
  { bigUserTasks, page }: GrowthOptions,
  url: string,
  { bigUser }: LargeDatabase,
  signal: AbortSignal,
): Promise<GrowthPages> {
  const server = await startServer(ourService(), url, signal)
  try {
    return await measurePages(server.url, bigUser, bigUserTasks, page, signal)
  } finally {
    await server.stop()
  }
}
