// One run: one server, one scenario, one round; a fresh process on a fresh copy of the seeded database.
import { setTimeout as delay } from 'node:timers/promises'
import { type ClosedLoopResult, runClosedLoop } from '../load/closed-loop.ts'
import { OpenLoop, type OpenLoopResult } from '../load/open-loop.ts'
import { SaturatingLoop } from '../load/saturating-loop.ts'
import { type Scenario, type SeedUser, seededRandom } from '../load/scenario.ts'
import type { BenchDatabase } from '../servers/database.ts'
import { blameMemory, type RunningServer, type ServerKind, startServer } from '../servers/kind.ts'
import { cpuMicroseconds, type Memory, memoryOf } from '../servers/usage.ts'

/** Time for a started server to come to rest before its idle memory is read. */
const SETTLE_MS = 500
/** Time for the rest of a background load to be worked off. */
const CALM_MS = 1000
/** Closed-loop requests per second under which an open loop would have too few requests for a p99. */
const OPEN_LOOP_REQUESTS_MIN = 100
/** A server that is offered more than this share of its own throughput only shows how long its queue grew. */
const SUSTAINABLE_SHARE = 0.9

export interface LoadOptions {
  connections: number
  warmupSeconds: number
  durationSeconds: number
  /**
   * Offered rate of the open loop: a share of the run's own closed-loop throughput, or requests per second; absent when
   * there is to be no open loop.
   */
  rate?: { share: number } | { perSecond: number }
}

export interface Run {
  server: string
  scenario: string
  round: number
  closed: Omit<ClosedLoopResult, 'latency' | 'generator_cpu'> &
    Partial<Pick<ClosedLoopResult, 'latency' | 'generator_cpu'>>
  open?: OpenLoopResult
  /** The open loop at the same rate without the background load. */
  calm?: OpenLoopResult
  /** The rate that the open loop would have offered, had the server come near to sustaining it. */
  unsustainable_per_second?: number
  /** CPU of the server's processes per request of the closed loop, in microseconds. */
  server_cpu_us?: number
  /** CPU of PostgreSQL's processes per request of the closed loop, in microseconds. */
  database_cpu_us?: number
  startup_ms?: number
  idle?: Memory
  loaded?: Memory
  /** Processes that the kernel has killed because the memory limit was reached. */
  oom_kills?: number
}

export type LoadResult = Omit<Run, 'server' | 'round'>

/** Process ids whose CPU time is read. */
export interface Pids {
  server?: number
  database?: number
}

/** Starts, measures and stops `kind`. */
export async function measureServer(
  kind: ServerKind,
  scenario: Scenario,
  round: number,
  database: BenchDatabase,
  load: LoadOptions,
  signal: AbortSignal,
): Promise<Run> {
  const clone = kind.serves.includes('tasks') ? await database.clone() : undefined
  try {
    const { users, pid } = database
    const on = { url: clone?.url, users, pid }
    const result = kind.measure
      ? await kind.measure(scenario, on, load, signal)
      : await measureOn(kind, scenario, on, load, signal)
    return { server: kind.name, round, ...result }
  } finally {
    await clone?.drop()
  }
}

/** The database of a run. */
export interface SeededDatabase {
  url: string | undefined
  users: readonly SeedUser[]
  /** Process id of PostgreSQL. */
  pid: number
}

/** Starts `kind` on a database that is there, measures and stops it. */
export async function measureOn(
  kind: ServerKind,
  scenario: Scenario,
  { url, users, pid }: SeededDatabase,
  load: LoadOptions,
  signal: AbortSignal,
): Promise<LoadResult> {
  const server = await startServer(kind, url, signal)
  try {
    await delay(SETTLE_MS, undefined, { signal })
    const idle = memoryOf(server.pid, server.cgroup)
    const pids = { server: server.pid, database: pid }
    const result = await blameMemory(server.cgroup, () =>
      measureLoad(server.url, scenario, users, load, signal, pids),
    )
    const loaded = memoryOf(server.pid, server.cgroup)
    const oom_kills = server.cgroup?.oomKills() ?? 0
    return { startup_ms: server.startupMs, idle, loaded, oom_kills, ...result }
  } finally {
    await stopQuietly(server)
  }
}

/** Puts the load of `scenario` on `url`. CPU is read for the process ids that are given. */
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
  // Warmed at its own rate: what compilers optimized for the closed loop is other code, in the server (batches of many)
  // and in the sender.
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

/** `undefined` when there is to be no open loop. */
function offeredRate(
  { closedOnly }: Scenario,
  { rate, durationSeconds }: LoadOptions,
  throughput: number,
): { perSecond: number; sustainable: boolean } | undefined {
  if (!rate || closedOnly) return undefined
  const perSecond = 'perSecond' in rate ? rate.perSecond : throughput * rate.share
  if (perSecond * durationSeconds < OPEN_LOOP_REQUESTS_MIN) return undefined
  // Who asks for a share of the own throughput gets it, however large.
  const sustainable = 'share' in rate || perSecond <= throughput * SUSTAINABLE_SHARE
  return { perSecond, sustainable }
}

/** What `measure` found, and the CPU that one of its requests cost. */
async function withCpu(
  { serves }: Scenario,
  pids: Pids,
  measure: () => Promise<ClosedLoopResult>,
): Promise<Pick<Run, 'server_cpu_us' | 'database_cpu_us'> & { closed: ClosedLoopResult }> {
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

/** Runs `measure` while the second load of the scenario, if it has one, is on. */
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
    durationSeconds: 3600,
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

/** A server that cannot be stopped must not hide why the run failed. */
async function stopQuietly(server: RunningServer): Promise<void> {
  await server.stop().catch(() => undefined)
}
