// This service, and the variants of it that have rows of their own in the report.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { V8_FLAGS } from '../../src/server/process/heap.ts'
import { ROOT } from '../root.ts'
import { JWT_SECRET } from './database.ts'
import type { ServerKind } from './kind.ts'

export const OURS = 'taskapi'

/** This service from the checkout in `root`, with `extra` on top of the usual settings. */
export function ourService(
  root = ROOT,
  name = OURS,
  extra: Record<string, string> = {},
): ServerKind {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  // Versions older than the bundle run from their sources.
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
    readyPath: '/ready',
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

/** Builds what production runs, once per checkout: see build/bundle.ts. */
function bundle(root: string): void {
  if (bundledRoots.has(root)) return
  execFileSync(process.execPath, [join(root, 'build/bundle.ts')], { stdio: ['ignore', 2, 2] })
  bundledRoots.add(root)
}

/** This service with one statement per request, for comparisons under rules that forbid sharing one. */
export function ourServiceUnbatched(): ServerKind {
  const kind = ourService(ROOT, `${OURS} unbatched`, { DB_BATCHING: 'off' })
  // Requests that need no database are the same with and without batches.
  return { ...kind, serves: ['tasks'] }
}

/** Two listeners and their supervisor, however many CPUs there are: a deployment with its database elsewhere. */
export function ourTwoListeners(): ServerKind {
  const kind = ourService(ROOT, `${OURS} 2 listeners`, { LISTENERS: '2' })
  return { ...kind, scenarios: ['mixed'] }
}

/** One process that serves alone: the smallest deployment. */
export function ourSingleListener(): ServerKind {
  const kind = ourService(ROOT, `${OURS} 1 listener`, { LISTENERS: '1' })
  return { ...kind, scenarios: ['mixed'] }
}

/** The smallest deployment where memory is short. */
export function ourServiceConfined(): ServerKind {
  return {
    ...ourSingleListener(),
    name: `${OURS} 64 MiB`,
    memoryLimitBytes: 64 * 1024 * 1024,
  }
}
