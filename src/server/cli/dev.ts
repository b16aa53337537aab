// Runs in the process that the user started: the command `dev`. It has the local PostgreSQL, and the service runs in a
// child process, which each change of the sources replaces.
import { childEnvironment, readConfig } from '../config/config.ts'
import type { Loggers } from '../observe/log.ts'
import { type Child, startChild } from '../process/child.ts'
import { probePort } from '../process/claims.ts'
import { type LocalDatabase, startLocalDatabase } from '../process/local-database.ts'
import { urlOf } from '../process/place.ts'
import { runUntilStopped } from '../process/run.ts'
import type { Running } from '../process/running.ts'
import { welcome } from '../process/welcome.ts'
import { SOURCES_FOLDER } from '../root.ts'
import { type Change, type Changes, watchSources } from './changes.ts'

const NEXT_TRY = 'the next change starts it again'

interface Development {
  readonly entry: string
  readonly log: Loggers
  readonly signal: AbortSignal
  readonly changes: Changes
  /** Outlives every child. It is absent as long as `DATABASE_URL` is set. */
  local?: LocalDatabase
  /** What SERVER_PORT=0 stands for: the same for every child. */
  freePort?: number
  /** The last one that was shown. */
  url?: string
  child?: Child
}

/** Serves the sources until it is asked to stop. Rejects when there are none: the bundle has this command, too. */
export async function develop(entry: string): Promise<void> {
  if (!entry.startsWith(SOURCES_FOLDER)) {
    throw new Error('Cannot run "dev" from the bundle: it serves the sources; fix: npm run dev')
  }
  await runUntilStopped(readConfig(), 'dev', async (log, signal) => {
    const onError = (err: unknown) => log.process.error({ err }, 'Cannot watch a file')
    const changes = await watchSources(signal, onError)
    return startDevelopment({ entry, log, signal, changes })
  })
}

/** Rejects when the local PostgreSQL does not start. Whatever fails later is shown, and waits for the next change. */
async function startDevelopment(development: Development): Promise<Running> {
  await prepare(development)
  const work = keepServing(development)
  return {
    drain: async () => {
      await work
      await development.local?.drain()
      return true
    },
    terminate: () => {
      void development.child?.kill()
      development.local?.terminate()
    },
  }
}

/** What is in flight is not worth a wait: whoever changes a file wants to see the change. */
async function keepServing(development: Development): Promise<void> {
  const { changes, signal } = development
  let change: Change | undefined
  while (!signal.aborted) {
    const next = changes.next()
    await serve(development, change)
    await next
    await development.child?.kill()
    change = changes.take()
  }
}

/** Starts a child. How that goes, and when it ends, is printed; it waits for neither. */
async function serve(development: Development, change: Change | undefined): Promise<void> {
  const sinceMs = change?.atMs ?? performance.now()
  try {
    const { env, url } = await prepare(development)
    development.child = startChild({
      entry: development.entry,
      env,
      onUsable: () => {
        if (url !== development.url) print(welcome(url))
        development.url = url
        const seconds = ((performance.now() - sinceMs) / 1000).toFixed(1)
        print(
          change
            ? `${change.summary} changed, restarted in ${seconds} s`
            : `Started in ${seconds} s`,
        )
      },
      onEnd: (reason) => print(`The service ended (${reason}); ${NEXT_TRY}`),
    })
  } catch (error) {
    if (development.signal.aborted) return
    print(error instanceof Error ? error.message : String(error))
    print(`The service cannot start; ${NEXT_TRY}`)
  }
}

/** Reads the settings as they are now, and starts the local PostgreSQL as soon as they ask for it. */
async function prepare(development: Development): Promise<{ env: NodeJS.ProcessEnv; url: string }> {
  const config = readConfig()
  const { log, signal } = development
  const { SERVER_HOST: host, SERVER_PORT: wanted } = config
  const port = wanted || (development.freePort ??= await probePort(host, 0))
  const changes = { SERVER_PORT: String(port) }
  const url = urlOf({ SERVER_HOST: host, SERVER_PORT: port })
  if (config.DATABASE_URL) return { env: childEnvironment(changes, {}), url }
  if (!development.local) {
    development.local = await startLocalDatabase(config, log.db, signal)
    showDatabase(development.local)
  }
  const { DATABASE_URL, JWT_SECRET } = development.local.settings
  const local = {
    DATABASE_URL: DATABASE_URL.url.reveal(),
    JWT_SECRET: (config.JWT_SECRET ?? JWT_SECRET).reveal(),
  }
  return { env: childEnvironment({ ...changes, ...local }, {}), url }
}

/**
 * Its URL can be printed anywhere because it holds no password: the folder of its socket lets nobody in but the user of
 * PostgreSQL and root. A `DATABASE_URL` is never printed.
 */
function showDatabase({ settings }: LocalDatabase): void {
  print(`Local database: psql "${settings.DATABASE_URL.url.reveal()}"`)
}

function print(line: string): void {
  process.stderr.write(`${line}\n`)
}
