// The PostgreSQL that Debian has (15), for tests that ask whether an older server will do. It may be missing anywhere but in CI.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { own, unprivilegedUser } from './unprivileged.ts'

const BINARIES = '/usr/lib/postgresql/15/bin'
const START_MS_MAX = 30_000
const run = promisify(execFile)

export interface SystemPostgres {
  url: string
  /** Where its unix socket is. */
  folder: string
  stop(): Promise<void>
  /** Ends at once, and says good-bye to nobody; it must be stopped all the same. */
  crash(): Promise<void>
}

export interface Standby extends SystemPostgres {
  /** Makes a primary of it. */
  promote(): Promise<void>
}

/** False where the server is not installed; throws in CI, where nothing may be missing. */
export function hasSystemPostgres(): boolean {
  if (existsSync(join(BINARIES, 'postgres'))) return true
  if (process.env.CI === 'true') throw new Error(`There is no PostgreSQL in ${BINARIES}`)
  return false
}

export async function startSystemPostgres(): Promise<SystemPostgres> {
  const place = await choosePlace()
  const options = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C']
  await place.run('initdb', ['-D', place.data, ...options])
  return launch(place)
}

/** A copy of `primary` that follows it, and only reads. */
export async function startStandby(primary: SystemPostgres): Promise<Standby> {
  const place = await choosePlace()
  const source = ['-h', primary.folder, '-U', 'postgres']
  const options = ['--write-recovery-conf', '--checkpoint=fast', '--wal-method=stream']
  await place.run('pg_basebackup', ['-D', place.data, ...source, ...options])
  return {
    ...(await launch(place)),
    promote: () => place.run('pg_ctl', ['-D', place.data, 'promote']),
  }
}

interface Place {
  folder: string
  data: string
  options: { cwd: string; env: Record<string, string>; uid?: number; gid?: number }
  /** Runs a program of PostgreSQL. */
  run(program: string, args: string[]): Promise<void>
}

async function choosePlace(): Promise<Place> {
  const identity = await unprivilegedUser()
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-pg15-'))
  await own(folder, identity)
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
  const options = { ...identity, cwd: folder, env }
  return {
    folder,
    data: join(folder, 'data'),
    options,
    run: async (program, args) => {
      await run(join(BINARIES, program), args, options)
    },
  }
}

async function launch({ folder, data, options }: Place): Promise<SystemPostgres> {
  const settings = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off']
  const child = spawn(
    join(BINARIES, 'postgres'),
    ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    { ...options, stdio: 'ignore' },
  )
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return exited
  }
  const url = `postgres:///postgres?${new URLSearchParams({ host: folder, user: 'postgres' }).toString()}`
  await answering(url, child)
  return {
    url,
    folder,
    stop: async () => {
      await end('SIGINT')
      await rm(folder, { recursive: true })
    },
    crash: () => end('SIGQUIT'),
  }
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 2000 })
  const deadline = Date.now() + START_MS_MAX
  try {
    while (!(await sql`select 1`.catch(() => undefined))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('PostgreSQL is not up')
      await delay(50)
    }
  } finally {
    await sql.end({ timeout: 1 })
  }
}
