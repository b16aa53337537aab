// The service is started before its database: it listens, says why it is not ready, and is ready soon after the database is.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { type EmbeddedPostgres, startEmbedded } from '../../src/db/local/postgres.ts'
import { type Answer, createClient, eventually, register } from '../support/client.ts'
import { createDatabase, MIGRATIONS } from '../support/database.ts'
import { JWT_SECRET, runMain, type TestProcess } from '../support/service.ts'

const TIMEOUT_MS = 90_000
const READY_MS_MAX = 2000
const ROUNDS = 5
const SEED = Number(process.env.SEED ?? Date.now() % 1e6)
const SECRET = 'secretword'
/** Key of the lock that migrations take. */
const LOCK_KEY = 7_461_736_101

let folder: string
let postgres: EmbeddedPostgres
/** Where the database will be. */
let url: string
let socketFolder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskapi-waiting-'))
  postgres = await startEmbedded({ folder, database: 'waiting', timeoutMs: 30_000 })
  socketFolder = new URL(postgres.url).searchParams.get('host') ?? ''
  url = `postgres://postgres:${SECRET}@localhost/waiting?host=${socketFolder}`
  await postgres.stop()
}, TIMEOUT_MS)

afterAll(async () => {
  await postgres.stop()
  await rm(folder, { recursive: true })
})

async function startDatabase(): Promise<void> {
  postgres = await startEmbedded({ folder, database: 'waiting', timeoutMs: 30_000, socketFolder })
}

/** The next start finds a database that seems never to have been migrated. */
async function emptyDatabase(): Promise<void> {
  const sql = openClient(readAddress(postgres.url), { max: 1, connectTimeoutMs: 5000 })
  await sql.unsafe('drop schema public cascade; create schema public')
  await sql.end()
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Waiting extends TestProcess {
  client: ReturnType<typeof createClient>
  /** The answer, or `undefined` when nobody listens. */
  get: (path: string) => Promise<Answer | undefined>
  isReady: () => Promise<boolean>
  stop: () => ReturnType<typeof stopProcess>
}

async function startWaiting(env: Record<string, string> = {}): Promise<Waiting> {
  const port = await freePort()
  const running = await runMain({
    DATABASE_URL: url,
    JWT_SECRET,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: String(port),
    LISTENERS: '1',
    SHUTDOWN_TIMEOUT_MS: '300',
    STARTUP_TIMEOUT_MS: '0',
    ...env,
  })
  const client = createClient(`http://127.0.0.1:${port}`)
  const get = (path: string) => client.get(path).catch(() => undefined)
  return {
    ...running,
    client,
    get,
    isReady: async () => (await get('/ready'))?.status === 200,
    stop: () => stopProcess(running),
  }
}

function stopProcess({ child, exited }: TestProcess) {
  child.kill('SIGTERM')
  return exited
}

async function whenAlive({ get }: Waiting): Promise<void> {
  await eventually('an answer', async () => (await get('/health'))?.status === 200)
}

function listenersOf({ lines }: Waiting): number[] {
  return lines.filter(({ msg }) => msg === 'Listener is up').map(({ pid }) => pid)
}

function reports({ lines }: Waiting) {
  return lines.filter(({ msg }) => msg === 'Waiting for the database')
}

describe.each(['1', '2'])('%s listeners without a database', (LISTENERS) => {
  test(
    'listen at once, say why they are not ready, and serve when it appears',
    async () => {
      const service = await startWaiting({ LISTENERS })
      await whenAlive(service)
      await eventually('the reason', async () => {
        return (await service.get('/ready'))?.body.error === 'The database cannot be reached'
      })
      const ready = await service.get('/ready')
      expect(ready?.status).toBe(503)
      expect(ready?.headers.get('retry-after')).toBe('1')
      const login = { email: 'nobody@example.com', password: 'testpassword123' }
      const refused = await service.client.post('/api/v1/auth/login', login)
      expect(refused.status).toBe(503)
      expect(refused.body.code).toBe('unavailable')
      expect(refused.headers.get('retry-after')).toBe('1')
      expect(service.lines.some(({ msg }) => msg === 'Listening')).toBe(false)

      await startDatabase()
      await eventually('readiness', service.isReady, READY_MS_MAX)
      await service.line(({ msg }) => msg === 'Listening')
      await register(service.client)
      const applied = service.lines.filter(({ msg }) => msg === 'Migration applied')
      expect(new Set(applied.map(({ pid }) => pid)).size).toBe(1)
      expect(new Set(applied.map(({ migration }) => migration)).size).toBe(applied.length)
      expect(service.lines.filter(({ msg }) => msg === 'The database answers')).toHaveLength(1)
      expect(service.stderr() + JSON.stringify(service.lines)).not.toContain(SECRET)
      expect(await service.stop()).toEqual({ code: 0, signal: null })
      await emptyDatabase()
      await postgres.stop()
    },
    TIMEOUT_MS,
  )

  test(
    'report the wait at growing intervals, with host and cause, and end with 1 when it is too long',
    async () => {
      const service = await startWaiting({ LISTENERS, STARTUP_TIMEOUT_MS: '5000' })
      expect(await service.exited).toEqual({ code: 1, signal: null })
      expect(service.stderr()).toContain('Cannot reach PostgreSQL within 5000 ms')
      expect(reports(service).map(({ waited_ms }) => Math.round(Number(waited_ms) / 1000))).toEqual(
        [0, 2, 4],
      )
      const [report] = reports(service)
      expect(JSON.stringify(report?.hosts)).toContain(socketFolder)
      expect(JSON.stringify(report?.err)).toContain('ENOENT')
      expect(service.stderr() + JSON.stringify(service.lines)).not.toContain(SECRET)
    },
    TIMEOUT_MS,
  )

  test(
    'end at once with 1 when a migration was edited, however long they may wait',
    async () => {
      const database = await createDatabase()
      await database.query(`update schema_migrations set checksum = 'x'`)
      const service = await startWaiting({ LISTENERS, DATABASE_URL: database.url })
      expect(await service.exited).toEqual({ code: 1, signal: null })
      expect(service.stderr()).toContain('was edited after it had been applied')
      await database.drop()
    },
    TIMEOUT_MS,
  )

  test(
    'wait for somebody else to migrate with MIGRATE=check, name what is pending, and change nothing',
    async () => {
      const database = await createDatabase({ empty: true })
      const env = { LISTENERS, DATABASE_URL: database.url, MIGRATE: 'check' }
      const late = await startWaiting({ ...env, STARTUP_TIMEOUT_MS: '1500' })
      expect(await late.exited).toEqual({ code: 1, signal: null })
      expect(late.stderr()).toMatch(/Migrations are pending: 0001_users_and_tasks, .*MIGRATE=auto/)
      expect(await database.query(`select to_regclass('users') as users`)).toEqual([
        { users: null },
      ])

      const service = await startWaiting(env)
      const wait = await service.line(({ msg }) => msg === 'Waiting for somebody to migrate')
      expect(wait.pending).toEqual(await migrationNames())
      expect((await service.get('/ready'))?.body.error).toBe('Migrations have not run yet')
      const migrating = await runMain({ DATABASE_URL: database.url, JWT_SECRET }, ['migrate'])
      expect((await migrating.exited).code).toBe(0)
      await eventually('readiness', service.isReady)
      await register(service.client)
      expect((await service.stop()).code).toBe(0)
      await database.drop()
    },
    TIMEOUT_MS,
  )

  test(
    'neither look nor wait with MIGRATE=off, and are ready once the tables are there',
    async () => {
      const database = await createDatabase({ empty: true })
      const service = await startWaiting({
        LISTENERS,
        DATABASE_URL: database.url,
        MIGRATE: 'off',
        STARTUP_TIMEOUT_MS: '1',
      })
      await service.line(({ msg }) => msg === 'Listening')
      expect((await service.get('/ready'))?.status).toBe(503)
      const migrating = await runMain({ DATABASE_URL: database.url, JWT_SECRET }, ['migrate'])
      expect((await migrating.exited).code).toBe(0)
      await eventually('readiness', service.isReady)
      await database.query(`update schema_migrations set checksum = 'x'`)
      expect((await service.stop()).code).toBe(0)
      const next = await startWaiting({ LISTENERS, DATABASE_URL: database.url, MIGRATE: 'off' })
      await eventually('readiness', next.isReady)
      expect((await next.stop()).code).toBe(0)
      await database.drop()
    },
    TIMEOUT_MS,
  )

  test(
    'wait while another node migrates, say so, and end with 0 at a stop',
    async () => {
      const database = await createDatabase({ empty: true })
      const other = openClient(readAddress(database.url), { max: 1, connectTimeoutMs: 5000 })
      await other.unsafe(`select pg_advisory_lock(${LOCK_KEY})`)
      const service = await startWaiting({ LISTENERS, DATABASE_URL: database.url })
      await whenAlive(service)
      await eventually('the wait for the lock', async () => {
        const waiting = await other.unsafe(`select from pg_locks where not granted`)
        return waiting.length > 0
      })
      expect((await service.get('/ready'))?.body.error).toBe('Migrations have not run yet')
      expect(await service.stop()).toEqual({ code: 0, signal: null })

      const next = await startWaiting({ LISTENERS, DATABASE_URL: database.url })
      await whenAlive(next)
      await other.unsafe(`select pg_advisory_unlock(${LOCK_KEY})`)
      await eventually('readiness', next.isReady)
      expect((await next.stop()).code).toBe(0)
      await other.end()
      await database.drop()
    },
    TIMEOUT_MS,
  )
})

test(
  'a listener that dies during the wait is replaced, and both serve when the database appears',
  async () => {
    const service = await startWaiting({ LISTENERS: '2' })
    await eventually('both', () => listenersOf(service).length === 2)
    for (const pid of listenersOf(service)) process.kill(pid, 'SIGKILL')
    await eventually('their successors', () => listenersOf(service).length === 4)
    await eventually('the reason', async () => {
      return (await service.get('/ready'))?.body.error === 'The database cannot be reached'
    })
    await startDatabase()
    await service.line(({ msg }) => msg === 'Listening')
    const [, , ...successors] = listenersOf(service)
    const reachable = () => {
      return service.lines
        .filter(({ msg }) => msg === 'Database is reachable')
        .map(({ pid }) => pid)
    }
    await eventually('word from both', () => reachable().length === 2)
    expect(reachable().sort()).toEqual(successors.sort())
    // Also one that is started when the wait is over learns that it is.
    process.kill(successors[0] ?? 0, 'SIGKILL')
    await eventually('the next', () => reachable().length === 3)
    expect((await service.stop()).code).toBe(0)
    await postgres.stop()
  },
  TIMEOUT_MS,
)

test(
  `started before its database, and either killed in between: ready soon, never half migrated (seed ${SEED})`,
  async () => {
    const random = randomFrom(SEED)
    for (let round = 0; round < ROUNDS; round += 1) {
      const env = { LISTENERS: random() < 0.5 ? '1' : '2' }
      let service = await startWaiting(env)
      await delay(random() * 1000)
      const appears = startDatabase()
      const victim = round % 3
      if (victim === 1) {
        await delay(random() * 500)
        service.child.kill('SIGKILL')
        await service.exited
        service = await startWaiting(env)
      }
      await appears
      if (victim === 2) {
        await delay(random() * 200)
        await killDatabase()
        await startDatabase()
      }
      await whenAlive(service)
      await eventually('readiness', service.isReady, READY_MS_MAX)
      await register(service.client)
      expect(await recordedMigrations()).toEqual(await migrationNames())
      expect(await service.stop()).toEqual({ code: 0, signal: null })
      await emptyDatabase()
      await postgres.stop()
    }
  },
  TIMEOUT_MS,
)

/** Numbers from 0 to 1 that are the same for the same seed (xorshift). */
function randomFrom(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

async function killDatabase(): Promise<void> {
  const text = await readFile(join(folder, 'postgres/postmaster.pid'), 'utf8')
  process.kill(Number.parseInt(text, 10), 'SIGKILL')
  await postgres.stop()
}

async function recordedMigrations(): Promise<string[]> {
  const sql = openClient(readAddress(postgres.url), { max: 1, connectTimeoutMs: 5000 })
  const rows = await sql.unsafe<{ name: string }[]>('select name from schema_migrations order by 1')
  await sql.end()
  return rows.map(({ name }) => name)
}

async function migrationNames(): Promise<string[]> {
  const files = await readdir(MIGRATIONS)
  return files
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -4))
    .sort()
}
