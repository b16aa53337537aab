// One run: one server, one scenario, one round; a fresh process on a fresh copy of the seeded database.
import { setTimeout as delay } from 'node:timers/promises'
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario } from '../load/scenario.ts'
import type { BenchDatabase, SeededDatabase } from '../servers/database.ts'
import { type ServerKind, usersFor } from '../servers/kind.ts'
import { blameMemory } from '../servers/memory-cgroup.ts'
import { type RunningServer, startServer } from '../servers/running-server.ts'
import { type Memory, memoryOf } from '../servers/usage.ts'
import { type LoadResult, measureLoad } from './load.ts'

/** Time for a started server to come to rest before its idle memory is read. */
const SETTLE_MS = 500

export interface Run extends LoadResult {
  server: string
  round: number
  startup_ms?: number
  idle?: Memory
  loaded?: Memory
  /** Processes that the kernel has killed because the memory limit was reached. */
  oom_kills?: number
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
    const users = usersFor(kind, database.users)
    const seeded = { url: clone?.url, users, pid: database.pid }
    const result = kind.measure
      ? await kind.measure(scenario, seeded, load, signal)
      : await measureOn(kind, scenario, seeded, load, signal)
    return { server: kind.name, round, ...result }
  } finally {
    await clone?.drop()
  }
}

/** Starts `kind` on an existing database, measures and stops it. */
export async function measureOn(
  kind: ServerKind,
  scenario: Scenario,
  { url, users, pid }: SeededDatabase,
  load: LoadOptions,
  signal: AbortSignal,
): Promise<Omit<Run, 'server' | 'round'>> {
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

/** A server that cannot be stopped must not hide why the run failed. */
async function stopQuietly(server: RunningServer): Promise<void> {
  await server.stop().catch(() => undefined)
}
