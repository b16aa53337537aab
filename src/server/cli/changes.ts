// Runs in the process that the user started: what the command `dev` takes for a change of the service.
import { basename, relative, resolve } from 'node:path'
import { MIGRATIONS_FOLDER, SOURCES_FOLDER } from '../root.ts'

/** An editor writes a file several times, git writes many files: what comes within this time is one change. */
const BURST_MS = 50
/** What the service reads. Editors put files of other names beside these: `tasks.ts~`, `.tasks.ts.swp`, `4913`. */
const RELEVANT_NAME = /^(?:\.env|[^.].*\.(?:ts|json|sql))$/

export interface Changes {
  /** Resolves after the next burst of changes, or when there will be none because of `signal`. */
  next(): Promise<void>
  /** What has changed since the last call. */
  take(): Change
}

export interface Change {
  /** Names the file, or one of them. */
  summary: string
  /** Of the first event, by the clock of `performance`. */
  atMs: number
}

/** Watches the sources, the migrations and `.env` until `signal` aborts. */
export async function watchSources(
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<Changes> {
  const names = new Set<string>()
  let atMs = 0
  let burst = Promise.withResolvers<void>()
  let burstEnd: NodeJS.Timeout | undefined

  function add(path: string): void {
    if (names.size === 0) atMs = performance.now()
    names.add(relative('', path))
    clearTimeout(burstEnd)
    burstEnd = setTimeout(endBurst, BURST_MS)
  }

  function endBurst(): void {
    burst.resolve()
    burst = Promise.withResolvers()
  }

  const { watch } = await import('chokidar')
  const watcher = watch([SOURCES_FOLDER, MIGRATIONS_FOLDER, resolve('.env')], {
    ignoreInitial: true,
    ignored: (path, stats) => stats?.isDirectory() === false && !RELEVANT_NAME.test(basename(path)),
  })
  for (const event of ['add', 'change', 'unlink'] as const) watcher.on(event, add)
  watcher.on('error', onError)
  signal.addEventListener('abort', () => {
    burst.resolve()
    clearTimeout(burstEnd)
    void watcher.close()
  })
  await new Promise<void>((ready) => watcher.once('ready', ready))
  signal.throwIfAborted()
  return {
    next: () => burst.promise,
    take: () => {
      const [first = '', ...others] = names
      names.clear()
      return { summary: first + (others.length > 0 ? ` and ${others.length} more` : ''), atMs }
    },
  }
}
