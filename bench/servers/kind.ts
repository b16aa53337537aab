// The servers that can be measured: this service, and the peers; each started afresh for every run.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { probePort } from '../../src/server/process/claims.ts'
import type { Scenario } from '../load/scenario.ts'
import type { LoadOptions, LoadResult, SeededDatabase } from '../measure/run.ts'
import { JWT_SECRET } from './database.ts'
import { canLimitMemory, createMemoryCgroup, type MemoryCgroup } from './memory-cgroup.ts'

export const OURS = 'taskapi'
/** As README.md tells to start the bundle. */
export const V8_FLAGS = ['--max-semi-space-size=2']
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PEERS = join(ROOT, 'bench/peers')
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 10_000

export interface ServerKind {
  name: string
  language: string
  /** What it serves: it can take part in the scenarios that need no more. */
  serves: readonly string[]
  /** The only scenarios it takes part in, where that is not all that it could. */
  scenarios?: readonly string[]
  /** Limit of the memory cgroup that it runs in. */
  memoryLimitBytes?: number
  versions: Record<string, string>
  folder: string
  command: readonly string[]
  /** The command that must be on PATH to build and run it. */
  toolchain: string
  build: readonly string[]
  /** What has to be done before the first start. */
  prepare?(): void
  env(options: { port: number; databaseUrl: string | undefined }): Record<string, string>
  /** How it is measured, where it is no server that speaks HTTP. */
  measure?: (
    scenario: Scenario,
    database: SeededDatabase,
    load: LoadOptions,
    signal: AbortSignal,
  ) => Promise<LoadResult>
}

export interface RunningServer {
  url: string
  pid: number
  startupMs: number
  cgroup: MemoryCgroup | undefined
  stop(): Promise<void>
}

/** This service, as it stands in `root`; with `env` on top of its settings. */
export function ourService(
  root = ROOT,
  name = OURS,
  extra: Record<string, string> = {},
): ServerKind {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  // Versions from before there was a bundle run from their sources.
  const bundled = manifest.scripts.build !== undefined
  const entry = join(root, bundled ? 'dist/server/main.cjs' : 'src/server/main.ts')
  return {
    name,
    language: 'TypeScript',
    serves: ['json', 'tasks'],
    versions: { taskapi: manifest.version, node: process.version.slice(1) },
    folder: root,
    command: [process.execPath, ...V8_FLAGS, entry],
    ...(bundled ? { prepare: () => bundle(root) } : {}),
    toolchain: 'node',
    build: [],
    env: ({ port, databaseUrl }) => ({
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: String(port),
      DATABASE_URL: databaseUrl ?? '',
      JWT_SECRET,
      ...extra,
    }),
  }
}

const bundledRoots = new Set<string>()

/** As in production: see build/bundle.ts. */
function bundle(root: string): void {
  if (bundledRoots.has(root)) return
  execFileSync(process.execPath, [join(root, 'build/bundle.ts')], { stdio: ['ignore', 2, 2] })
  bundledRoots.add(root)
}

/** This service with one statement per request, for comparisons under rules that forbid sharing one. */
export function ourServiceUnbatched(): ServerKind {
  const kind = ourService(ROOT, `${OURS} unbatched`, { DB_BATCHING: 'off' })
  // Where there is no database, there is nothing that could differ.
  return { ...kind, serves: ['tasks'] }
}

/** Two listeners and their supervisor, whatever the CPUs: what a service takes whose database is elsewhere. */
export function ourTwoListeners(): ServerKind {
  const kind = ourService(ROOT, `${OURS} 2 listeners`, { LISTENERS: '2' })
  return { ...kind, scenarios: ['mixed'] }
}

/** One process that serves alone: what the smallest deployment takes. */
export function ourSingleListener(): ServerKind {
  const kind = ourService(ROOT, `${OURS} 1 listener`, { LISTENERS: '1' })
  return { ...kind, scenarios: ['mixed'] }
}

/** The same where memory is short. */
export function ourServiceConfined(): ServerKind {
  return {
    ...ourSingleListener(),
    name: `${OURS} 64 MiB`,
    memoryLimitBytes: 64 * 1024 * 1024,
  }
}

export function takesPart(kind: ServerKind, scenario: Scenario): boolean {
  return kind.serves.includes(scenario.serves) && (kind.scenarios?.includes(scenario.name) ?? true)
}

/** The peers of bench/peers, in the order of their names. */
export function listPeers(): ServerKind[] {
  return readdirSync(PEERS)
    .filter((name) => existsSync(join(PEERS, name, 'peer.json')))
    .map((name) => {
      const folder = join(PEERS, name)
      const peer = JSON.parse(readFileSync(join(folder, 'peer.json'), 'utf8'))
      return {
        name: peer.name,
        language: peer.language,
        serves: peer.serves,
        versions: peer.versions,
        folder,
        command: peer.start,
        toolchain: peer.toolchain,
        build: peer.build,
        env: ({ port, databaseUrl }) => ({
          PORT: String(port),
          WORKERS: String(availableParallelism()),
          JWT_SECRET,
          NODE_ENV: 'production',
          ...peer.env,
          // To repeat how a peer's pool was tuned.
          ...(process.env.POOL_SIZE ? { POOL_SIZE: process.env.POOL_SIZE } : {}),
          ...(databaseUrl ? { DATABASE_URL: databaseUrl } : {}),
        }),
      }
    })
}

/** Why a server cannot be measured here, or `undefined`. */
export function whyMissing(kind: ServerKind): string | undefined {
  if (!isOnPath(kind.toolchain)) return `${kind.toolchain} not found`
  if (kind.memoryLimitBytes && !canLimitMemory()) return 'no memory cgroup may be made here'
  const [program = ''] = kind.command
  const built =
    kind.language === 'JavaScript' ? 'node_modules' : kind.language === 'Java' ? 'target' : program
  if (!program.startsWith('/') && !existsSync(join(kind.folder, built))) {
    return 'not built, run npm run bench:peers'
  }
  return undefined
}

/** Starts the server and waits for its first answer. */
export async function startServer(
  kind: ServerKind,
  databaseUrl: string | undefined,
  signal: AbortSignal,
): Promise<RunningServer> {
  kind.prepare?.()
  const port = await probePort('127.0.0.1', 0)
  const cgroup = createMemoryCgroup(`taskapi-bench-${process.pid}-${port}`, kind.memoryLimitBytes)
  const logFile = join(tmpdir(), `taskapi-bench-${kind.name}.log`)
  const log = openSync(logFile, 'w')
  const startedAt = performance.now()
  // The shell moves itself into the cgroup and becomes the server; one that is to be confined does not run outside.
  const enter = `${cgroup?.enter ?? ':'} ${kind.memoryLimitBytes ? '&&' : ';'}`
  const child = spawn('sh', ['-c', `${enter} exec "$@"`, 'sh', ...kind.command], {
    cwd: kind.folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...kind.env({ port, databaseUrl }) },
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C is ours to pass on, and what a server leaves behind can be ended with it.
    detached: true,
  })
  closeSync(log)
  const url = `http://127.0.0.1:${port}`
  const stop = async () => {
    await stopGroup(child)
    cgroup?.remove()
  }
  try {
    await blameMemory(cgroup, () => firstAnswer(url, child, signal))
  } catch (error) {
    await stop()
    const why = error instanceof OutOfMemoryError ? error.message : `see "${logFile}"`
    throw new Error(`Cannot start ${kind.name}: ${why}`, { cause: error })
  }
  return { url, pid: child.pid ?? 0, startupMs: performance.now() - startedAt, cgroup, stop }
}

/** Rejects with what the kernel killed, when that is why `use` fails. */
export async function blameMemory<T>(
  cgroup: MemoryCgroup | undefined,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use()
  } catch (error) {
    const kills = cgroup?.oomKills() ?? 0
    throw kills > 0 ? new OutOfMemoryError(kills, error) : error
  }
}

class OutOfMemoryError extends Error {
  constructor(kills: number, cause: unknown) {
    super(describeKills(kills), { cause })
  }
}

export function describeKills(kills: number): string {
  return `out of memory: ${kills} ${kills === 1 ? 'process' : 'processes'} killed`
}

export function isOnPath(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function firstAnswer(url: string, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    signal.throwIfAborted()
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}`)
    if (performance.now() > deadline) throw new Error('It does not answer')
    const answer = await fetch(`${url}/health`, { headers: { connection: 'close' } }).catch(
      () => undefined,
    )
    await answer?.arrayBuffer()
    if (answer?.ok) return
    await delay(5)
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await Promise.race([ended, delay(STOP_TIMEOUT_MS, undefined, { ref: false })])
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nothing of the group is left.
  }
  await ended
}
