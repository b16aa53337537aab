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
import { own, unprivilegedIdentity } from '../../src/db/local/binaries.ts'

const BINARIES = '/usr/lib/postgresql/15/bin'
const START_MS_MAX = 30_000
const run = promisify(execFile)

export interface SystemPostgres {
  url: string
  stop(): Promise<void>
}

/** False where the server is not installed; throws in CI, where nothing may be missing. */
export function hasSystemPostgres(): boolean {
  if (existsSync(join(BINARIES, 'postgres'))) return true
  if (process.env.CI === 'true') throw new Error(`There is no PostgreSQL in ${BINARIES}`)
  return false
}

export async function startSystemPostgres(): Promise<SystemPostgres> {
  const identity = await unprivilegedIdentity()
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-pg15-'))
  await own(folder, identity)
  const options = {
    ...identity,
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  }
  const data = join(folder, 'data')
  await run(
    join(BINARIES, 'initdb'),
    ['-D', data, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C'],
    options,
  )
  const settings = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off']
  const child = spawn(
    join(BINARIES, 'postgres'),
    ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    { ...options, stdio: 'ignore' },
  )
  const url = `postgres:///postgres?${new URLSearchParams({ host: folder, user: 'postgres' }).toString()}`
  await answering(url, child)
  return {
    url,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGINT')
      await ended
      await rm(folder, { recursive: true })
    },
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
