// Runs in the process that the user started. Brings the whole service up, step by step, and down again in reverse.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, realpath, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Supervisor } from '../workers/supervisor.ts'
import { type Config, childEnvironment } from './config.ts'
import { claim, isTaken, probePort } from './exclusive.ts'
import type { Logger } from './log.ts'

const DATABASE_NAME = 'taskapi'
const SECRET_FILE = 'jwt-secret'
const SECRET_BYTES = 48
const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))
const LISTENER_ENTRY = fileURLToPath(new URL('./main.ts', import.meta.url))

/** Argument with which `main.ts` becomes a listener. */
export const LISTENER_ROLE = 'listener'

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

/** Rejects when a step fails or `signal` aborts; what earlier steps had started is stopped first. */
export async function startService(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<Service> {
  const parts: Part[] = []
  try {
    const port = await takePort(config)
    const database = await startDatabase(config, log, signal)
    parts.push(database)
    const settled: Config = { ...config, ...database.settings, SERVER_PORT: port }
    await applyMigrations(settled, log, signal)
    signal.throwIfAborted()
    parts.push(await startListeners(settled, log))
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

/** Applies pending migrations to `DATABASE_URL`. */
export async function applyMigrations(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const { migrate } = await import('../db/migrate.ts')
  await migrate({
    url: config.DATABASE_URL ?? '',
    folder: MIGRATIONS_FOLDER,
    timeoutMs: config.STARTUP_TIMEOUT_MS,
    signal,
    onApplied: (name) => log.info({ migration: name }, 'Migration applied'),
  })
}

interface LocalDatabase extends Part {
  settings: Partial<Pick<Config, 'DATABASE_URL' | 'JWT_SECRET'>>
}

/** Without `DATABASE_URL`: a local PostgreSQL, and a secret that is kept beside it. With it: nothing. */
export async function startDatabase(
  config: Config,
  log: Logger,
  signal: AbortSignal,
): Promise<LocalDatabase> {
  if (config.DATABASE_URL !== undefined) {
    return { settings: {}, drain: async () => true, terminate: () => undefined }
  }
  const folder = config.DATA_DIR
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await claimFolder(folder)
  const secret = config.JWT_SECRET ?? (await keepSecret(folder))
  const { startEmbedded } = await import('../db/embedded.ts')
  const postgres = await startEmbedded({
    folder,
    database: DATABASE_NAME,
    timeoutMs: config.STARTUP_TIMEOUT_MS,
    signal,
  })
  log.info({ version: postgres.version, folder }, 'Local PostgreSQL is up')
  return {
    settings: { DATABASE_URL: postgres.url, JWT_SECRET: secret },
    drain: async () => {
      await postgres.stop()
      return true
    },
    terminate: () => postgres.terminate(),
  }
}

/** One listener runs in this process; several run in processes of their own, which are replaced when they die. */
async function startListeners(config: Config, log: Logger): Promise<Part> {
  if (config.LISTENERS === 1) {
    const { startListener } = await import('./listener.ts')
    const listener = await startListener(config, log)
    return { drain: () => listener.drain(), terminate: () => undefined }
  }
  const supervisor = new Supervisor({
    entry: LISTENER_ENTRY,
    arguments: [LISTENER_ROLE],
    env: childEnvironment({
      DATABASE_URL: config.DATABASE_URL ?? '',
      JWT_SECRET: config.JWT_SECRET ?? '',
      SERVER_PORT: String(config.SERVER_PORT),
    }),
    listeners: config.LISTENERS,
    drainDelayMs: config.DRAIN_DELAY_MS,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
    onReplaced: (event) => log.error(event, 'Listener died, starting another'),
  })
  try {
    await supervisor.started
  } catch (error) {
    supervisor.terminate()
    throw error
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

async function claimFolder(folder: string): Promise<void> {
  try {
    const name = createHash('sha256')
      .update(await realpath(folder))
      .digest('base64url')
    await claim(`folder/${name}`)
  } catch (error) {
    if (!isTaken(error)) throw error
    const mend = 'set DATA_DIR or DATABASE_URL'
    throw new Error(`Cannot use "${folder}": another copy of taskapi does; ${mend}`, {
      cause: error,
    })
  }
}

/** The secret of the folder, made on first use: written aside and renamed, so that it is whole or absent. */
async function keepSecret(folder: string): Promise<string> {
  const path = join(folder, SECRET_FILE)
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const file = await open(`${path}.draft`, 'w', 0o600)
  try {
    await file.writeFile(`${secret}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.draft`, path)
  return secret
}
