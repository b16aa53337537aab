// A real PgBouncer before the tests' PostgreSQL. It may be missing anywhere but in CI.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { probePort } from '../../src/server/process/claims.ts'
import { own } from './unprivileged.ts'

const BINARY = '/usr/sbin/pgbouncer'
const PASSWORD = 'of the pooler'
/** Another user with the same password, who has a name as poolers for many customers ask for. */
export const TENANT = 'postgres.tenant'
const START_MS_MAX = 10_000

export type PoolMode = 'session' | 'transaction' | 'statement'

export interface PgBouncer {
  /** The same database, through the pooler. */
  url: string
  /** Ends without a word, and starts again after a while: in the same mode, or in another. */
  restart(mode?: PoolMode): Promise<void>
  stop(): Promise<void>
}

/** False where it is not installed; throws in CI, where nothing may be missing. */
export function hasPgBouncer(): boolean {
  if (existsSync(BINARY)) return true
  if (process.env.CI === 'true') throw new Error(`There is no ${BINARY}`)
  return false
}

export async function startPgBouncer(
  databaseUrl: string,
  mode: PoolMode,
  settings: Record<string, string | number> = {},
): Promise<PgBouncer> {
  const server = new URL(databaseUrl)
  const database = server.pathname.slice(1)
  const port = await probePort('127.0.0.1', 0)
  const socketFolder = server.searchParams.get('host') ?? ''
  const serverPort = server.searchParams.get('port') ?? '5432'
  // Only the server's own user, and root, which PgBouncer refuses to be, reach its socket.
  const { uid, gid } = await stat(socketFolder)
  const identity = { uid, gid }
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-pgbouncer-'))
  const users = join(folder, 'users')
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(users, ['postgres', TENANT].map((name) => `"${name}" "${PASSWORD}"\n`).join(''))
  const url = `postgres://postgres:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${database}`

  async function start(poolMode: PoolMode): Promise<ChildProcess> {
    const lines = {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: users,
      pool_mode: poolMode,
      server_login_retry: 1,
      ...settings,
    }
    const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}`)
    await writeFile(
      file,
      `[databases]\n* = host=${socketFolder} port=${serverPort}\n[pgbouncer]\n${text.join('\n')}\n`,
    )
    await own(folder, identity)
    await own(users, identity)
    await own(file, identity)
    const started = spawn(BINARY, [file], { ...identity, cwd: folder, stdio: 'ignore' })
    try {
      await answering(url, started)
    } catch (error) {
      await ended(started, 'SIGKILL')
      throw error
    }
    return started
  }

  let child = await start(mode)
  return {
    url,
    restart: async (next = mode) => {
      await ended(child, 'SIGKILL')
      await delay(300)
      child = await start(next)
    },
    stop: async () => {
      await ended(child, 'SIGTERM')
      await rm(folder, { recursive: true })
    },
  }
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  return exited
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 2000 })
  const deadline = Date.now() + START_MS_MAX
  try {
    while (!(await sql`select 1`.simple().catch(() => undefined))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('PgBouncer is not up')
      await delay(50)
    }
  } finally {
    await sql.end({ timeout: 1 })
  }
}
