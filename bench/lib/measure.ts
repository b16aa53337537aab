// One run: one server, one scenario, one round; a fresh process on a fresh copy of the seeded database.
import { setTimeout as delay } from 'node:timers/promises'
import { type ClosedLoopResult, runClosedLoop } from './closed-loop.ts'
import type { BenchDatabase } from './database.ts'
import { OpenLoop, type OpenLoopResult } from './open-loop.ts'
import { type Scenario, type SeedUser, seededRandom } from './scenario.ts'
import { type RunningServer, type ServerKind, startServer } from './servers.ts'
import { cpuMicroseconds, type Memory, memoryOf } from './usage.ts'

/** Time for a started server to come to rest before its idle memory is read. */
const SETTLE_MS = 500
/** Closed-loop requests per second under which an open loop would have too few requests for a p99. */
const OPEN_LOOP_REQUESTS_MIN = 100

export interface LoadOptions {
  connections: number
  warmupSeconds: number
  durationSeconds: number
  /** Offered rate of the open loop: a share of the closed loop's throughput, or requests per second. */
  rate: { share: number } | { perSecond: number }
}

export interface Run {
  server: string
  scenario: string
  round: number
  closed: ClosedLoopResult
  open?: OpenLoopResult
  /** CPU of the server's processes per request of the closed loop, in microseconds. */
  server_cpu_us?: number
  /** CPU of PostgreSQL's processes per request of the closed loop, in microseconds. */
  database_cpu_us?: number
  startup_ms?: number
  idle?: Memory
  loaded?: Memory
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
    const server = await startServer(kind, clone?.url, signal)
    try {
      await delay(SETTLE_MS, undefined, { signal })
      const idle = memoryOf(server.pid, server.cgroup)
      const run = await measureLoad(server.url, scenario, database.users, load, signal, {
        server: server.pid,
        database: database.pid,
      })
      const loaded = memoryOf(server.pid, server.cgroup)
      return { server: kind.name, round, startup_ms: server.startupMs, idle, loaded, ...run }
    } finally {
      await stopQuietly(server)
    }
  } finally {
    await clone?.drop()
  }
}

/** Puts the load of `scenario` on `url`. CPU is read for the process ids that are given. */
export async function measureLoad(
  url: string,
  scenario: Scenario,
  users: readonly SeedUser[],
  load: LoadOptions,
  signal: AbortSignal,
  pids: { server?: number; database?: number } = {},
): Promise<Omit<Run, 'server' | 'round'>> {
  const common = {
    url,
    connections: Math.min(load.connections, scenario.connectionsMax ?? load.connections),
    statuses: scenario.statuses,
    requests: (connection: number) => scenario.requests(users, seededRandom(connection + 1)),
    signal,
  }
  const storm = startBackground(url, scenario, users, signal)
  try {
    await runClosedLoop({ ...common, durationSeconds: load.warmupSeconds })
    const before = readCpu(pids)
    const closed = await runClosedLoop({ ...common, durationSeconds: load.durationSeconds })
    const after = readCpu(pids)
    const perRequest = (name: 'server' | 'database') =>
      after[name] === undefined || before[name] === undefined
        ? undefined
        : (after[name] - before[name]) / Math.max(1, closed.latency.count)
    const server_cpu_us = perRequest('server')
    const database_cpu_us = scenario.serves === 'tasks' ? perRequest('database') : undefined

    const perSecond =
      'perSecond' in load.rate ? load.rate.perSecond : closed.requests_per_second * load.rate.share
    const worthwhile = perSecond * load.durationSeconds >= OPEN_LOOP_REQUESTS_MIN
    const open = worthwhile
      ? await OpenLoop.run({
          ...common,
          requestsPerSecond: perSecond,
          durationSeconds: load.durationSeconds,
        })
      : undefined
    return {
      scenario: scenario.name,
      closed,
      ...(open ? { open } : {}),
      ...(server_cpu_us === undefined ? {} : { server_cpu_us }),
      ...(database_cpu_us === undefined ? {} : { database_cpu_us }),
    }
  } finally {
    await storm.stop()
  }
}

/** The second load of a scenario, for as long as the first is measured. */
function startBackground(
  url: string,
  { background }: Scenario,
  users: readonly SeedUser[],
  signal: AbortSignal,
): { stop(): Promise<void> } {
  if (!background) return { stop: () => Promise.resolve() }
  const abort = new AbortController()
  const either = AbortSignal.any([signal, abort.signal])
  const done = runClosedLoop({
    url,
    connections: background.connections,
    statuses: background.statuses,
    durationSeconds: 3600,
    requests: (connection) => background.requests(users, seededRandom(1000 + connection)),
    signal: either,
  }).then(
    () => undefined,
    () => undefined,
  )
  return {
    stop: () => {
      abort.abort()
      return done
    },
  }
}

function readCpu(pids: { server?: number; database?: number }) {
  return {
    server: pids.server === undefined ? undefined : cpuMicroseconds(pids.server),
    database: pids.database === undefined ? undefined : cpuMicroseconds(pids.database),
  }
}

/** A server that cannot be stopped must not hide why the run failed. */
async function stopQuietly(server: RunningServer): Promise<void> {
  await server.stop().catch(() => undefined)
}
