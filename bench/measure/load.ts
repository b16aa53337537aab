// Puts the load of a scenario on a running server, and finds what its answers took: closed loop, open loop, CPU.
import { setTimeout as delay } from 'node:timers/promises'
import { type ClosedLoopResult, runClosedLoop } from '../load/closed-loop.ts'
import type { LoadOptions } from '../load/load-options.ts'
import { OpenLoop, type OpenLoopResult } from '../load/open-loop.ts'
import { SaturatingLoop } from '../load/saturating-loop.ts'
import { type Scenario, type SeedUser, seededRandom } from '../load/scenario.ts'
import { cpuMicroseconds } from '../servers/usage.ts'

/** Time for the server to work off what the background load has left. */
const CALM_MS = 1000
/** With fewer requests than this, an open loop has no meaningful p99. */
const OPEN_LOOP_REQUESTS_MIN = 100
/** When a server is offered more than this share of its own throughput, latency only shows how long its queue grew. */
const SUSTAINABLE_SHARE = 0.9
/** The background load ends with the measured load, which is always shorter. */
const BACKGROUND_SECONDS = 3600

export interface LoadResult {
  scenario: string
  closed: Omit<ClosedLoopResult, 'latency' | 'generator_cpu'> &
    Partial<Pick<ClosedLoopResult, 'latency' | 'generator_cpu'>>
  open?: OpenLoopResult
  /** The open loop at the same rate without the background load. */
  calm?: OpenLoopResult
  /** The rate that no open loop was run at, because the server could not have sustained it. */
  unsustainable_per_second?: number
  /** CPU of the server's processes per request of the closed loop, in microseconds. */
  server_cpu_us?: number
  /** CPU of PostgreSQL's processes per request of the closed loop, in microseconds. */
  database_cpu_us?: number
}

/** Process ids whose CPU time is read. */
export interface Pids {
  server?: number
  database?: number
}

/** Puts the load of `scenario` on `url`. CPU time is read of the processes in `pids`. */
export async function measureLoad(
  url: string,
  scenario: Scenario,
  users: readonly SeedUser[],
  load: LoadOptions,
  signal: AbortSignal,
  pids: Pids = {},
): Promise<LoadResult> {
  const common = {
    url,
    connections: Math.min(load.connections, scenario.connectionsMax ?? load.connections),
    statuses: scenario.statuses,
    requests: (connection: number) => scenario.requests(users, seededRandom(connection + 1)),
    signal,
  }
  const close = (durationSeconds: number) =>
    scenario.closedLoop === 'raw sockets'
      ? SaturatingLoop.run({ ...common, durationSeconds })
      : runClosedLoop({ ...common, durationSeconds })
  // The open loop has its own warm-up at its own rate: the closed loop made compilers optimize other code, both in the
  // server (batches of many) and in the sender.
  const open = async (requestsPerSecond: number) => {
    await OpenLoop.run({ ...common, requestsPerSecond, durationSeconds: load.warmupSeconds })
    return OpenLoop.run({ ...common, requestsPerSecond, durationSeconds: load.durationSeconds })
  }
  const beside = <T>(measure: () => Promise<T>) =>
    withBackground(url, scenario, users, signal, measure)

  const closed = await beside(async () => {
    await close(load.warmupSeconds)
    return withCpu(scenario, pids, () => close(load.durationSeconds))
  })
  const measured = { scenario: scenario.name, ...closed }
  const rate = offeredRate(scenario, load, closed.closed.requests_per_second)
  if (!rate) return measured
  if (!rate.sustainable) return { ...measured, unsustainable_per_second: rate.perSecond }
  if (!scenario.background) return { ...measured, open: await open(rate.perSecond) }
  await delay(CALM_MS, undefined, { signal })
  const calm = await open(rate.perSecond)
  return { ...measured, calm, open: await beside(() => open(rate.perSecond)) }
}

/** `undefined` when there is no open loop. */
function offeredRate(
  { closedOnly }: Scenario,
  { rate, durationSeconds }: LoadOptions,
  throughput: number,
): { perSecond: number; sustainable: boolean } | undefined {
  if (!rate || closedOnly) return undefined
  const perSecond = 'perSecond' in rate ? rate.perSecond : throughput * rate.share
  if (perSecond * durationSeconds < OPEN_LOOP_REQUESTS_MIN) return undefined
  // A share of the server's own throughput was asked for explicitly, so it is offered however large it is.
  const sustainable = 'share' in rate || perSecond <= throughput * SUSTAINABLE_SHARE
  return { perSecond, sustainable }
}

/** The result of `measure`, and the CPU time that one of its requests cost. */
async function withCpu(
  { serves }: Scenario,
  pids: Pids,
  measure: () => Promise<ClosedLoopResult>,
): Promise<Pick<LoadResult, 'server_cpu_us' | 'database_cpu_us'> & { closed: ClosedLoopResult }> {
  const before = readCpu(pids)
  const closed = await measure()
  const after = readCpu(pids)
  const perRequest = (name: keyof Pids) =>
    after[name] === undefined || before[name] === undefined
      ? undefined
      : (after[name] - before[name]) / Math.max(1, closed.latency.count)
  const server_cpu_us = perRequest('server')
  const database_cpu_us = serves === 'tasks' ? perRequest('database') : undefined
  return {
    closed,
    ...(server_cpu_us === undefined ? {} : { server_cpu_us }),
    ...(database_cpu_us === undefined ? {} : { database_cpu_us }),
  }
}

/** Runs `measure` beside the background load of the scenario, if it has one. */
async function withBackground<T>(
  url: string,
  { background }: Scenario,
  users: readonly SeedUser[],
  signal: AbortSignal,
  measure: () => Promise<T>,
): Promise<T> {
  if (!background) return measure()
  const abort = new AbortController()
  const done = runClosedLoop({
    url,
    connections: background.connections,
    statuses: background.statuses,
    durationSeconds: BACKGROUND_SECONDS,
    requests: (connection) => background.requests(users, seededRandom(1000 + connection)),
    signal: AbortSignal.any([signal, abort.signal]),
  }).catch(() => undefined)
  try {
    return await measure()
  } finally {
    abort.abort()
    await done
  }
}

function readCpu(pids: Pids): Pids {
  return {
    ...(pids.server === undefined ? {} : { server: cpuMicroseconds(pids.server) }),
    ...(pids.database === undefined ? {} : { database: cpuMicroseconds(pids.database) }),
  }
}
