// A PostgreSQL of its own for faults that would hurt the other tests: it can be killed, frozen and started again.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { type EmbeddedPostgres, startEmbedded } from '../../src/db/local/postgres.ts'
import { isAlive, readPidFile } from '../../src/db/local/postmaster.ts'
import { migrate } from '../../src/db/migrate.ts'

const DATABASE = 'faults'
const START_MS_MAX = 60_000
const MIGRATIONS = join(import.meta.dirname, '../../migrations')

export interface FaultServer {
  /** The same through every restart. */
  url: string
  dataFolder: string
  /** Starts it, unless it runs and does not end by itself. Resolves when it answers. */
  start(): Promise<void>
  isRunning(): Promise<boolean>
  /** Immediate shutdown, as in a crash. Resolves when the process has ended. */
  kill(): Promise<void>
  /** Fast shutdown. Resolves when the process has ended. */
  stop(): Promise<void>
  /** Stops every process of the server where it is. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  query<Row extends object>(text: string): Promise<Row[]>
  close(): Promise<void>
}

/** @param folder for the cluster; by default a new one, which is removed in the end */
export async function openServer(folder?: string): Promise<FaultServer> {
  const place = folder ?? (await mkdtemp(join(tmpdir(), 'taskapi-faults-')))
  const socketFolder = await mkdtemp(join(tmpdir(), 'taskapi-s-'))
  const options = { folder: place, database: DATABASE, timeoutMs: START_MS_MAX, socketFolder }
  let postgres: EmbeddedPostgres | undefined = await startEmbedded(options)
  const { url } = postgres
  const address = readAddress(url)
  await migrate({
    address,
    folder: MIGRATIONS,
    timeoutMs: START_MS_MAX,
    onApplied: () => undefined,
  })
  const sql = openClient(address, { max: 1, connectTimeoutMs: 5000 })
  const dataFolder = join(place, 'postgres')
  const pid = async () => (await readPidFile(dataFolder))?.pid

  async function stop(): Promise<void> {
    await postgres?.stop()
    postgres = undefined
  }

  return {
    url,
    dataFolder,
    start: async () => {
      postgres = await startEmbedded(options)
    },
    isRunning: async () => {
      const postmaster = await pid()
      return postmaster !== undefined && isAlive(postmaster)
    },
    kill: async () => {
      const postmaster = await pid()
      postgres?.terminate()
      while (postmaster && isAlive(postmaster)) await delay(5)
      postgres = undefined
    },
    stop,
    freeze: async () => signalTree(await pid(), 'SIGSTOP'),
    thaw: async () => signalTree(await pid(), 'SIGCONT'),
    query: async <Row extends object>(text: string) => [...(await sql.unsafe<Row[]>(text))],
    close: async () => {
      await sql.end({ timeout: 1 })
      await stop()
      await rm(socketFolder, { recursive: true, force: true })
      if (!folder) await rm(place, { recursive: true, force: true })
    },
  }
}

/** The parent first: it would otherwise go on to start processes that are missed. */
function signalTree(pid: number | undefined, signal: NodeJS.Signals): void {
  if (!pid) throw new Error('PostgreSQL does not run')
  process.kill(pid, signal)
  for (const child of childrenOf(pid)) {
    try {
      process.kill(child, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

/** The processes that a process has started, and those that they have; parents come before their children. */
export function descendantsOf(pid: number): number[] {
  try {
    return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])
  } catch (error) {
    // It has ended.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
