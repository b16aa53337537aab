// Runs in the process that the user started. Brings the whole service up, step by step, and down again in reverse.
import { LISTENER_ROLE, MIGRATES } from '../../workers/messages.ts'
import { type Config, childEnvironment } from '../config/config.ts'
import type { Logger } from '../observe/log.ts'
import { claim, isTaken, probePort } from './claims.ts'

/**
 * Largest half of V8's young generation in a listener. V8's own limit of 16 doubles the memory under load and answers no
 * more requests; 1 answers a tenth fewer lists. A listener without a supervisor gets it from the command line.
 */
const SEMI_SPACE_MIB_MAX = 2

/** Something that has been started and can be stopped. */
export interface Part {
  /** Lets what is under way finish. True when nothing was cut off. */
  drain(): Promise<boolean>
  /** Stops at once. */
  terminate(): void
}

export interface Service extends Part {
  /** Where clients on this machine reach it. */
  url: string
}

/**
 * Rejects when a step fails or `signal` aborts; what earlier steps had started is stopped first.
 *
 * @param entry module that a listener process runs
 */
export async function startService(
  entry: string,
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<Service> {
  const parts: Part[] = []
  try {
    const port = await takePort(config)
    const settings = { ...config, SERVER_PORT: port }
    if (config.DATABASE_URL === undefined) {
      const { startLocalDatabase } = await import('./local-database.ts')
      const local = await startLocalDatabase(config, log, signal)
      parts.push(local)
      Object.assign(settings, local.settings)
    }
    signal.throwIfAborted()
    parts.push(await startListeners(entry, settings, log, signal))
    signal.throwIfAborted()
    const host = ['0.0.0.0', '::'].includes(config.SERVER_HOST) ? 'localhost' : config.SERVER_HOST
    return {
      url: `http://${host}:${port}`,
      drain: () => drainAll(parts),
      terminate: () => {
        for (const part of parts) part.terminate()
      },
    }
  } catch (error) {
    await drainAll(parts)
    throw error
  }
}

/** One listener runs in this process; several run in processes of their own, which are replaced when they die. */
async function startListeners(
  entry: string,
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<Part> {
  if (config.LISTENERS === 1) {
    const { startListener } = await import('./listener.ts')
    const listener = await startListener(config, log, { migrates: true, signal })
    return { drain: () => listener.drain(), terminate: () => undefined }
  }
  const { Supervisor } = await import('../../workers/supervisor.ts')
  const supervisor = new Supervisor({
    entry,
    arguments: [LISTENER_ROLE],
    startArguments: [MIGRATES],
    execArguments: ['--expose-gc', `--max-semi-space-size=${SEMI_SPACE_MIB_MAX}`],
    env: childEnvironment(
      {
        DATABASE_URL: config.DATABASE_URL?.url.reveal() ?? '',
        JWT_SECRET: config.JWT_SECRET?.reveal() ?? '',
        SERVER_PORT: String(config.SERVER_PORT),
      },
      // One heap for all threads of glibc's allocator: 0.6 MB less per listener.
      { MALLOC_ARENA_MAX: '1' },
    ),
    listeners: config.LISTENERS,
    drainDelayMs: config.DRAIN_DELAY_MS,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
    onReplaced: (event) => log.error(event, 'Listener died, starting another'),
    onUnexpected: (event) => log.warn(event, 'Listener sent an unknown message, ignoring it'),
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

async function drainAll(parts: Part[]): Promise<boolean> {
  let clean = true
  for (const part of parts.toReversed()) clean = (await part.drain()) && clean
  return clean
}

async function takePort({ SERVER_HOST: host, SERVER_PORT: wanted }: Config): Promise<number> {
  try {
    const port = await probePort(host, wanted)
    // Between this probe and the listeners' start another copy could pass its own probe.
    await claim(`port/${host}/${port}`)
    return port
  } catch (error) {
    if (!isTaken(error)) throw error
    const holder = 'another program, or another copy of taskapi, listens there'
    const mend = 'set SERVER_PORT to a free port'
    throw new Error(`Cannot listen on ${host}:${wanted}: ${holder}; ${mend}`, { cause: error })
  }
}
