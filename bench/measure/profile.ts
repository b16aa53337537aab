// One listener under V8's profiler, and what each stage of a request took of its CPU.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scenario } from '../load/scenario.ts'
import { ROOT } from '../root.ts'
import type { BenchDatabase } from '../servers/database.ts'
import type { ServerKind } from '../servers/kind.ts'
import { ourService } from '../servers/ours.ts'
import { type CpuProfile, groupByStage, type StageTime } from './profile-stages.ts'
import { measureServer } from './run.ts'

const CONNECTIONS = 64
const WARMUP_SECONDS = 1

export async function measureStages(
  scenario: Scenario,
  database: BenchDatabase,
  durationSeconds: number,
  signal: AbortSignal,
): Promise<StageTime[]> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-profile-'))
  try {
    const load = { connections: CONNECTIONS, warmupSeconds: WARMUP_SECONDS, durationSeconds }
    const run = await measureServer(profiled(folder), scenario, 0, database, load, signal)
    const { closed, server_cpu_us, database_cpu_us } = run
    if (closed.errors > 0) throw new Error(`${scenario.name}: ${closed.errors} requests failed`)
    if (server_cpu_us === undefined) throw new Error('The CPU time of processes cannot be read')
    const stages = new Map<string, number>()
    for (const [stage, share] of groupByStage(await readProfile(folder))) {
      stages.set(stage, share * server_cpu_us)
    }
    if (database_cpu_us !== undefined) stages.set('PostgreSQL', database_cpu_us)
    return [...stages].map(([stage, us]) => ({ scenario: scenario.name, stage, us }))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * One listener that writes its profile when it exits. It runs from its sources, so that files and functions have names.
 */
function profiled(folder: string): ServerKind {
  const kind = ourService(ROOT, 'taskapi', { LISTENERS: '1' })
  const entry = join(ROOT, 'src/server/main.ts')
  const flags = [
    // Those that the bundle is started with, between node and the entry.
    ...kind.command.slice(1, -1),
    '--cpu-prof',
    `--cpu-prof-dir=${folder}`,
  ]
  return { ...kind, prepare: () => undefined, command: [process.execPath, ...flags, entry] }
}

async function readProfile(folder: string): Promise<CpuProfile> {
  const [file] = await readdir(folder)
  if (!file) throw new Error('The listener left no profile')
  return JSON.parse(await readFile(join(folder, file), 'utf8'))
}
