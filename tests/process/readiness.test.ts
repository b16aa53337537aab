// Readiness is true: whatever fails on the way of a request shows soon, with its reason, and is gone soon after its end.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { type EmbeddedPostgres, startEmbedded } from '../../src/db/local/postgres.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openProxy } from '../faults/proxy.ts'
import { createClient, eventually, sendRaw } from '../support/client.ts'
import { MIGRATIONS } from '../support/database.ts'
import { startService, type TestService } from '../support/service.ts'

const TIMEOUT_MS = 90_000
const SHOWN_MS_MAX = 2000
const DATABASE = 'readiness'

let folder: string
let postgres: EmbeddedPostgres

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskapi-readiness-'))
  postgres = await startEmbedded({ folder, database: DATABASE, timeoutMs: 30_000 })
  const options = { address: readAddress(postgres.url), folder: MIGRATIONS, timeoutMs: 10_000 }
  await migrate({ ...options, onApplied: () => undefined })
}, TIMEOUT_MS)

afterAll(async () => {
  await postgres.stop()
  await rm(folder, { recursive: true })
})

/** What `/ready` says on a connection of its own, which reaches any of several listeners: the reason, or `ready`. */
async function askReady({ port }: TestService): Promise<string> {
  const request = 'GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  const answer = await sendRaw(port, request, 1500)
  if (answer.startsWith('HTTP/1.1 200 ')) return 'ready'
  return answer.match(/"error":"([^"]*)"/)?.[1] ?? answer
}

/** Waits until `/ready` answers this. */
async function whenReadySays(service: TestService, expected: string): Promise<void> {
  await eventually(expected, async () => (await readReady(service)) === expected, SHOWN_MS_MAX)
}

async function readReady({ url }: TestService): Promise<string> {
  const { status, body } = await createClient(url).get('/ready')
  return status === 200 ? 'ready' : body.error
}

/** PostgreSQL and all of its processes. */
async function signalPostgres(signal: NodeJS.Signals): Promise<void> {
  const text = await readFile(join(folder, 'postgres/postmaster.pid'), 'utf8')
  const pid = Number.parseInt(text, 10)
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  for (const each of [pid, ...children.trim().split(' ').map(Number)]) process.kill(each, signal)
}

describe.each(['wire', 'postgres'])('over the client %s', (DB_CLIENT) => {
  test(
    'a PostgreSQL that hangs shows, and so does that it goes on',
    async () => {
      const service = await startService(postgres.url, { DB_CLIENT })
      expect(await readReady(service)).toBe('ready')
      await signalPostgres('SIGSTOP')
      try {
        await whenReadySays(service, 'The database does not answer')
      } finally {
        await signalPostgres('SIGCONT')
      }
      await whenReadySays(service, 'ready')
      expect((await service.stop()).code).toBe(0)
    },
    TIMEOUT_MS,
  )

  test.each([0, 1, 2])(
    'connection %i of three that gets lost shows until it is replaced',
    async (index) => {
      const proxy = await openProxy(postgres.url)
      const service = await startService(proxy.url, { DB_CLIENT, DB_STATEMENT_TIMEOUT_MS: '2000' })
      expect(await readReady(service)).toBe('ready')
      proxy.swallowOne(index)
      await whenReadySays(service, 'The database does not answer')
      await eventually('its successor', async () => (await readReady(service)) === 'ready')
      expect((await service.stop()).code).toBe(0)
      await proxy.close()
    },
    TIMEOUT_MS,
  )

  test(
    'a server that became a standby shows, and so does its promotion',
    async () => {
      const socketFolder = new URL(postgres.url).searchParams.get('host') ?? ''
      const service = await startService(postgres.url, { DB_CLIENT })
      expect(await readReady(service)).toBe('ready')
      await postgres.stop()
      await writeFile(join(folder, 'postgres/standby.signal'), '')
      postgres = await startEmbedded({
        folder,
        database: DATABASE,
        timeoutMs: 30_000,
        socketFolder,
      })
      await whenReadySays(service, 'The database only reads')
      const admin = openClient(readAddress(postgres.url), { max: 1, connectTimeoutMs: 5000 })
      await admin.unsafe('select pg_promote()')
      await admin.end()
      await whenReadySays(service, 'ready')
      expect((await service.stop()).code).toBe(0)
    },
    TIMEOUT_MS,
  )
})

test(
  'of two listeners, both fail readiness while one has lost a connection',
  async () => {
    const proxy = await openProxy(postgres.url)
    const env = { LISTENERS: '2', DB_STATEMENT_TIMEOUT_MS: '20000' }
    const service = await startService(proxy.url, env)
    expect(await askReady(service)).toBe('ready')
    proxy.swallowOne(0)
    const seen = new Set<string>()
    await eventually('both reasons', async () => {
      seen.add(await askReady(service))
      return seen.has('The database does not answer') && seen.has('Another listener is not ready')
    })
    for (let count = 0; count < 8; count += 1) expect(await askReady(service)).not.toBe('ready')
    expect((await service.stop()).code).toBe(0)
    await proxy.close()
  },
  TIMEOUT_MS,
)

test(
  'a listener that dies does not take the others out of a load balancer, and neither does its successor',
  async () => {
    const service = await startService(postgres.url, { LISTENERS: '2' })
    const up = () => service.lines.filter(({ msg }) => msg === 'Listener is up')
    const seen = new Set<string>()
    process.kill(up()[0]?.pid ?? 0, 'SIGKILL')
    while (up().length < 3) seen.add(await askReady(service))
    for (let count = 0; count < 20; count += 1) seen.add(await askReady(service))
    // A connection that the dead one had accepted gets no answer.
    seen.delete('')
    expect([...seen]).toEqual(['ready'])
    expect((await service.stop()).code).toBe(0)
  },
  TIMEOUT_MS,
)

test(
  'many probes at once share a few checks',
  async () => {
    const proxy = await openProxy(postgres.url)
    const service = await startService(proxy.url)
    const bytesOf = async (probes: number) => {
      // Until then, the result of the last check counts.
      await delay(200)
      const before = proxy.bytesSent
      const answers = await Promise.all(Array.from({ length: probes }, () => readReady(service)))
      expect(new Set(answers)).toEqual(new Set(['ready']))
      return proxy.bytesSent - before
    }
    const alone = await bytesOf(1)
    expect(alone).toBeGreaterThan(0)
    expect(await bytesOf(200)).toBeLessThan(50 * alone)
    expect((await service.stop()).code).toBe(0)
    await proxy.close()
  },
  TIMEOUT_MS,
)
