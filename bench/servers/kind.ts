// What a server is that can be measured, and whether it can be measured here.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { LoadOptions } from '../load/load-options.ts'
import type { Scenario, SeedUser } from '../load/scenario.ts'
import type { SeededDatabase } from './database.ts'
import { canLimitMemory } from './memory-cgroup.ts'

export interface ServerKind {
  name: string
  language: string
  /** What it serves. It can take part in the scenarios that need nothing else. */
  serves: readonly string[]
  /** The only scenarios it takes part in, where `serves` would allow more. */
  scenarios?: readonly string[]
  /** Limit of the memory cgroup that it runs in. */
  memoryLimitBytes?: number
  versions: Record<string, string>
  folder: string
  command: readonly string[]
  /** True when its tokens say no more than whose they are and until when. */
  readsPlainTokens?: true
  /** The command that must be on PATH to build and run it. */
  toolchain: string
  build: readonly string[]
  /** What answers 200 once it serves; `/health` unless it also answers that before. */
  readyPath?: string
  /** What has to be done before the first start. */
  prepare?(): void
  env(options: { port: number; databaseUrl: string | undefined }): Record<string, string>
  /** How to measure what does not speak HTTP: it puts the load on PostgreSQL itself. */
  measure?: (
    scenario: Scenario,
    database: SeededDatabase,
    load: LoadOptions,
    signal: AbortSignal,
  ) => Promise<DirectResult>
}

/** What a kind found that measures itself. */
export interface DirectResult {
  scenario: string
  closed: { requests_per_second: number; errors: number }
  /** CPU of PostgreSQL's processes per request, in microseconds. */
  database_cpu_us: number
}

/** The accounts with tokens that this kind reads. */
export function usersFor(kind: ServerKind, users: readonly SeedUser[]): readonly SeedUser[] {
  if (!kind.readsPlainTokens) return users
  return users.map((user) => ({ ...user, token: user.plainToken ?? user.token }))
}

export function takesPart(kind: ServerKind, scenario: Scenario): boolean {
  return kind.serves.includes(scenario.serves) && (kind.scenarios?.includes(scenario.name) ?? true)
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

export function isOnPath(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
