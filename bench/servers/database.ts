// The PostgreSQL of a benchmark: real, durable (fsync and synchronous_commit on), seeded once, cloned for each run.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashSync } from '@node-rs/argon2'
import { createSigner } from 'fast-jwt'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { startEmbedded } from '../../src/db/local/postgres.ts'
import { migrate } from '../../src/db/migrate.ts'
import { createTokens } from '../../src/server/api/tokens.ts'
import { PASSWORD_COSTS } from '../../src/workers/passwords/costs.ts'
import type { SeedUser } from '../load/scenario.ts'
import { ROOT } from '../root.ts'

export const JWT_SECRET = 'the secret of every server in a benchmark run'
const TEMPLATE = 'bench_template'
export const USERS = 1000
export const TASKS_PER_USER = 100
const PASSWORD = 'a benchmark password'
const TOKEN_LIFETIME_HOURS = 24
const signPlain = createSigner({ key: JWT_SECRET, algorithm: 'HS256' })
const tokens = createTokens({ secret: JWT_SECRET, lifetimeHours: TOKEN_LIFETIME_HOURS })

export interface BenchDatabase {
  users: readonly SeedUser[]
  version: string
  /** Process id of the server, for its CPU time. */
  pid: number
  /** A fresh copy of the seeded database. */
  clone(): Promise<{ url: string; drop(): Promise<void> }>
  stop(): Promise<void>
}

/** The database of a run. */
export interface SeededDatabase {
  url: string | undefined
  users: readonly SeedUser[]
  /** Process id of PostgreSQL. */
  pid: number
}

/** @param settings of PostgreSQL, on top of its defaults */
export async function startDatabase(
  signal: AbortSignal,
  settings: Record<string, string> = {},
): Promise<BenchDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-bench-'))
  const postgres = await startEmbedded({
    folder,
    database: TEMPLATE,
    timeoutMs: 60_000,
    signal,
    settings,
  })
  const url = new URL(postgres.url)
  await migrate({
    address: readAddress(url.href),
    folder: join(ROOT, 'migrations'),
    timeoutMs: 30_000,
    onApplied: () => undefined,
  })
  const users = await seed(url.href)
  const admin = openClient(readAddress(named(url, 'postgres')), { max: 1, connectTimeoutMs: 5000 })
  let clones = 0
  return {
    users,
    version: postgres.version,
    pid: Number.parseInt(readFileSync(join(folder, 'postgres/postmaster.pid'), 'utf8'), 10),
    clone: async () => {
      clones += 1
      const name = `bench_${clones}`
      await admin.unsafe(`create database ${name} template ${TEMPLATE}`)
      await admin.unsafe('checkpoint')
      return {
        url: named(url, name),
        drop: async () => {
          await admin.unsafe(`drop database if exists ${name} with (force)`)
        },
      }
    },
    stop: async () => {
      await admin.end({ timeout: 1 })
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Ids are computed from numbers, so they need not be read back. */
async function seed(url: string): Promise<SeedUser[]> {
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 5000 })
  await sql.unsafe(insertUsers(1, USERS))
  await sql.unsafe(insertTasks([1, USERS], [1, TASKS_PER_USER]))
  await sql.unsafe('vacuum analyze')
  await sql.end({ timeout: 5 })
  return range(USERS).map((user) => seedUser(user, range(TASKS_PER_USER)))
}

/** The account with this number. `tasks` are the numbers of those of its tasks that the load asks for. */
export function seedUser(user: number, tasks: readonly number[]): SeedUser {
  const now = Math.floor(Date.now() / 1000)
  const id = makeId(0, user)
  return {
    email: `user${user}@example.com`,
    password: PASSWORD,
    token: tokens.sign(id).token,
    plainToken: signPlain({ sub: id, iat: now, exp: now + TOKEN_LIFETIME_HOURS * 3600 }),
    taskIds: tasks.map((task) => makeId(user, task)),
  }
}

export function insertUsers(from: number, to: number): string {
  return `
    insert into users (id, email, password_hash)
    select ${sqlId('0', 'u')}, 'user' || u || '@example.com', '${hashSync(PASSWORD, PASSWORD_COSTS)}'
    from generate_series(${from}, ${to}) u`
}

/** Inserts tasks for a range of users, each with the same range of task numbers. Task 1 is the newest. */
export function insertTasks(users: [number, number], tasks: [number, number]): string {
  return `
    insert into tasks (user_id, id, title, description, priority, created_at)
    select ${sqlId('0', 'u')}, ${sqlId('u', 't')}, 'Task ' || t || ' of user ' || u, 'What has to be done',
      (enum_range(null::priority))[1 + t % 4], now() - t * interval '1 minute'
    from generate_series(${users.join()}) u, generate_series(${tasks.join()}) t`
}

/** A version 7 UUID that contains a user's number and a task's number. */
function makeId(user: number, task: number): string {
  const hex = (value: number) => value.toString(16).padStart(8, '0')
  return `01900000-0000-7000-8000-${hex(user).slice(-4)}${hex(task)}`
}

function sqlId(user: string, task: string): string {
  return `('01900000-0000-7000-8000-' || lpad(to_hex(${user}), 4, '0') || lpad(to_hex(${task}), 8, '0'))::uuid`
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index + 1)
}

function named(url: URL, name: string): string {
  const other = new URL(url)
  other.pathname = `/${name}`
  return other.href
}
