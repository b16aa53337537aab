// Runs in the process that the user started. Brings the whole service up, step by step, and down again in reverse.
import { UnfitError } from '../../db/setup-error.ts'
import { mergeParts } from '../../stats/families.ts'
import {
  type DatabaseState,
  type Findings,
  type Inspection,
  LISTENER_ROLE,
  SILENCE_MS_MAX,
} from '../../workers/messages.ts'
import { type Config, childEnvironment } from '../config/config.ts'
import type { Log, Logger } from '../observe/log.ts'
import type { Observed } from './admin-pages.ts'
import { compactHeap } from './heap.ts'
import { setLevels } from './log-level.ts'
import {
  describePlan,
  listenerFlags,
  type MemoryPlan,
  planMemory,
  readBounds,
  toMegabytes,
} from './memory.ts'
import { type Place, takePlace, urlOf } from './place.ts'
import { type Running, together } from './running.ts'

const ADVICE =
  'A transaction pooler keeps no limits for statements: run this SQL once, then have the pooler reconnect'

export interface ServiceOptions {
  /** Module that a listener process runs. */
  entry: string
  log: Log
  signal: AbortSignal
}

/** The listeners of a start, before and after the database is there. */
interface Listeners extends Running, Observed {
  /** Resolves once each has tried to open its connections: it is ready, or its log says why it is not. */
  readonly usable: Promise<Findings>
  reportDatabase(state: DatabaseState): void
  /** Sets what they log in processes of their own. */
  setLogLevels(levels: string): void
}

/**
 * Resolves when the service is usable. It listens long before that, and answers 503 until the database can be reached and
 * is migrated. Rejects when a step fails or `signal` aborts; before that, it stops what earlier steps have started.
 */
export async function startService(config: Config, options: ServiceOptions): Promise<Running> {
  const { log, signal } = options
  const started: Running[] = []
  const plan = planMemory(config, readBounds())
  let listeners: Listeners | undefined
  try {
    const place = await takePlace(config)
    const settings = { ...config, ...place }
    if (config.DATABASE_URL === undefined) {
      const { startLocalDatabase } = await import('./local-database.ts')
      const local = await startLocalDatabase(config, log.loggers.db, signal)
      started.push(local)
      Object.assign(settings, local.settings)
    }
    signal.throwIfAborted()
    listeners = await startListeners(settings, plan, options)
    signal.throwIfAborted()
    started.push(...(await openAdminPort(config, listeners, log)))
    await openService(settings, listeners, options)
    if (!signal.aborted) await announce(config, place, plan, log.loggers.process)
    if (config.LISTENERS > 1) compactHeap()
    return together([...started, listeners])
  } catch (error) {
    // Nothing but 503 was to be had from them: there is nothing to drain.
    listeners?.terminate()
    await together(started).drain()
    throw error
  }
}

/** Nothing when there is to be none. */
async function openAdminPort(
  { ADMIN_HOST: host, ADMIN_PORT: port, ADMIN_DEBUG: debug }: Config,
  listeners: Listeners,
  log: Log,
): Promise<Running[]> {
  if (port === undefined) return []
  const { openAdmin } = await import('./admin.ts')
  const changeLevels = (levels: string) => {
    const problem = setLevels(log, levels)
    if (problem !== undefined) return problem
    listeners.setLogLevels(levels)
    log.loggers.process.warn({ levels }, 'Log levels were changed')
    return undefined
  }
  const options = { host, port, debug, log: log.loggers.process, setLevels: changeLevels }
  return [await openAdmin(listeners, options)]
}

/**
 * Migrates the database and lets the listeners connect to it. Only this process migrates: whichever of the listeners dies,
 * the migrations go on.
 */
async function openService(
  config: Config,
  listeners: Listeners,
  { log, signal }: ServiceOptions,
): Promise<void> {
  const { bringUpToDate } = await import('./migrations.ts')
  const onState = (state: DatabaseState) => listeners.reportDatabase(state)
  await bringUpToDate(config, { log: log.loggers.db, signal, onState })
  // From here on requests are served, so a stop drains.
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve())
  })
  const { unfit, limits } = (await Promise.race([listeners.usable, stopped])) ?? {}
  if (unfit) throw new UnfitError(unfit)
  if (limits) log.loggers.db.warn({ sql: limits }, ADVICE)
}

/** One listener runs in this process; several run in one process each, which is replaced when it dies. */
async function startListeners(
  config: Config,
  plan: MemoryPlan,
  options: ServiceOptions,
): Promise<Listeners> {
  if (config.LISTENERS > 1) return superviseListeners(config, plan, options)
  const { startListener } = await import('./listener.ts')
  const { loggers, dropped: linesDropped } = options.log
  const listener = await startListener(config, loggers, { migrated: false, linesDropped })
  const readCounts = () => {
    const parts = [{ process: '1', families: listener.count() }]
    return Promise.resolve({
      families: mergeParts(parts),
      parts,
      stale: new Map<string, boolean>(),
    })
  }
  return {
    ...listener,
    readCounts,
    setLogLevels: () => undefined,
    inspect: inspectHere,
    states: ['listening'],
    replaced: new Map(),
  }
}

/** One at a time, as beside a supervisor. */
let inspecting = false

async function inspectHere(listener: number, inspection: Inspection): Promise<void> {
  if (listener !== 1) throw new Error('There is no such listener')
  if (inspecting) throw new Error('Another inspection is in flight')
  inspecting = true
  try {
    const { inspect } = await import('./inspection.ts')
    await inspect(inspection)
  } finally {
    inspecting = false
  }
}

async function superviseListeners(
  config: Config,
  plan: MemoryPlan,
  options: ServiceOptions,
): Promise<Listeners> {
  const { entry, log, signal } = options
  const { Supervisor } = await import('../../workers/supervisor.ts')
  const supervisor = new Supervisor({
    entry,
    arguments: [LISTENER_ROLE],
    execArguments: ['--expose-gc', ...listenerFlags(plan)],
    env: childEnvironment(
      {
        DATABASE_URL: config.DATABASE_URL?.url.reveal() ?? '',
        JWT_SECRET: config.JWT_SECRET?.reveal() ?? '',
        // Also where it is in a file: a listener that replaces another one must accept the same tokens.
        JWT_SECRET_PREVIOUS: config.JWT_SECRET_PREVIOUS?.reveal() ?? '',
        SERVER_HOST: config.SERVER_HOST,
        SERVER_PORT: String(config.SERVER_PORT),
      },
      // One heap for all threads of glibc's allocator: 0.6 MB less per listener.
      { MALLOC_ARENA_MAX: '1' },
    ),
    listeners: config.LISTENERS,
    silenceMsMax: SILENCE_MS_MAX,
    drainDelayMs: config.DRAIN_DELAY_MS,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
    keepsCounts: config.ADMIN_PORT !== undefined,
    onReplaced: (event) => log.loggers.workers.error(event, 'Listener died, starting another'),
    onSilent: (event) => log.loggers.workers.error(event, 'Listener does not respond, killing it'),
    onUnexpected: (event) =>
      log.loggers.workers.warn(event, 'Listener sent an unknown message, ignoring it'),
  })
  const stop = () => void supervisor.drain()
  signal.addEventListener('abort', stop)
  try {
    await supervisor.started
  } catch (error) {
    if (signal.aborted) await supervisor.drain()
    else supervisor.terminate()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return supervisor
}

/** Reports where clients on this machine reach the service: to the log, and to a newcomer or a terminal. */
async function announce(
  config: Config,
  place: Place,
  plan: MemoryPlan,
  log: Logger,
): Promise<void> {
  const url = urlOf({ ...place, SERVER_HOST: config.SERVER_HOST })
  log.info({ url, listeners: config.LISTENERS, ...describePlan(plan) }, 'Listening')
  if (plan.advice) {
    const needed = { needed_mb: toMegabytes(plan.needed), memory_mb: toMegabytes(plan.memory) }
    log.warn(needed, `The service may need more memory than it has: ${plan.advice}`)
  }
  if (config.DATABASE_URL !== undefined && !process.stderr.isTTY) return
  const { welcome } = await import('./welcome.ts')
  process.stderr.write(welcome(url))
}
