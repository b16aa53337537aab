// The command `dev` as a real process, on a copy of the sources that the tests edit as editors and git do.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { isAlive, readPidFile } from '../../src/db/local/postmaster.ts'
import { childrenOf } from '../faults/server.ts'
import { createClient, eventually } from '../support/client.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TIMEOUT_MS = 120_000
/** A start on a machine whose CPUs are busy; what is awaited comes sooner or never. */
const PATIENCE_MS = 60_000
const ROUTES = 'src/server/api/routes.ts'
const BURST_FILES = 20
const SETTINGS = {
  PATH: process.env.PATH,
  TMPDIR: process.env.TMPDIR,
  SERVER_HOST: '127.0.0.1',
  SERVER_PORT: '0',
}
const NEXT_TRY = 'the next change starts it again'

interface Dev {
  child: ChildProcess
  /** What it has printed so far. */
  text: () => string
  url: string
  exited: Promise<unknown[]>
}

let folder: string
let dev: Dev

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskapi-dev-'))
  for (const name of ['src', 'migrations', 'package.json']) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
})

afterAll(() => rm(folder, { recursive: true }))

async function startDev(env: Record<string, string> = {}): Promise<Dev> {
  const child = spawn(process.execPath, ['src/server/main.ts', 'dev'], {
    cwd: folder,
    env: { ...SETTINGS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk
    })
  }
  await eventually('the first start', () => text.includes('tarted in'), PATIENCE_MS)
  const url = /listens on (\S+)/.exec(text)?.[1] ?? ''
  return { child, text: () => text, url, exited: once(child, 'exit') }
}

async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<unknown[]> {
  dev.child.kill(signal)
  return dev.exited
}

async function postmasterPid(): Promise<number> {
  return (await readPidFile(join(folder, '.taskapi/postgres')))?.pid ?? 0
}

/** The process that serves, if there is one. */
async function findService({ child }: Dev): Promise<number | undefined> {
  const postmaster = await postmasterPid()
  return childrenOf(child.pid ?? 0).find((pid) => pid !== postmaster)
}

async function servicePid(of: Dev): Promise<number> {
  const pid = await findService(of)
  if (pid === undefined) throw new Error('There is no process that serves')
  return pid
}

/** The lines about starts again. */
function restarts(): string[] {
  return dev
    .text()
    .split('\n')
    .filter((line) => / changed, restarted in \d+\.\d s$/.test(line))
}

/** Resolves when `part` is printed once more than before `change`. */
async function printedAfter(part: string, change: () => unknown): Promise<void> {
  const count = () => dev.text().split(part).length
  const before = count()
  await change()
  await eventually(part, () => count() > before, PATIENCE_MS)
}

/** The text of the routes' file with another title for the document that is served. */
async function titled(title: string): Promise<string> {
  const text = await readFile(join(ROOT, ROUTES), 'utf8')
  expect(text).toContain("title: 'taskapi'")
  return text.replace("title: 'taskapi'", `title: '${title}'`)
}

async function isServed(title: string): Promise<void> {
  const served = async () => {
    const answer = await createClient(dev.url)
      .get('/openapi.json')
      .catch(() => undefined)
    return answer?.body.info?.title === title
  }
  await eventually(`"${title}" is served`, served, PATIENCE_MS)
}

/** As vim, JetBrains' editors and git do. */
async function replaceFile(name: string, text: string): Promise<void> {
  await writeFile(join(folder, 'replacement'), text)
  await rename(join(folder, 'replacement'), join(folder, name))
}

function query(text: string) {
  const [, url = ''] = /psql "([^"]+)"/.exec(dev.text()) ?? []
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 5000 })
  return sql.unsafe(text).finally(() => sql.end())
}

describe('while it runs', { timeout: TIMEOUT_MS }, () => {
  let postmaster: number

  beforeAll(async () => {
    dev = await startDev()
    postmaster = await postmasterPid()
    expect(isAlive(postmaster)).toBe(true)
  }, TIMEOUT_MS)

  afterAll(() => stop())

  afterEach(async () => {
    expect(await postmasterPid()).toBe(postmaster)
    expect(isAlive(postmaster)).toBe(true)
  })

  test('the database can be reached with what is printed, which holds no password', async () => {
    expect(await query('select count(*)::int from tasks')).toEqual([{ count: 0 }])
    const secret = await readFile(join(folder, '.taskapi/jwt-secret'), 'utf8')
    expect(dev.text()).not.toContain(secret.trim())
  })

  test('a file that is edited in place is served', async () => {
    await printedAfter(`${ROUTES} changed, restarted in `, async () => {
      await writeFile(join(folder, ROUTES), await titled('in place'))
    })
    await isServed('in place')
  })

  test('a file that is replaced is served, each time', async () => {
    for (const title of ['replaced', 'replaced again', 'replaced once more']) {
      await replaceFile(ROUTES, await titled(title))
      await isServed(title)
    }
  })

  test('a file that is deleted and made again is served', async () => {
    await printedAfter(NEXT_TRY, () => rename(join(folder, ROUTES), join(folder, 'away')))
    await writeFile(join(folder, 'away'), await titled('renamed'))
    await rename(join(folder, 'away'), join(folder, ROUTES))
    await isServed('renamed')
  })

  test('a new file in a new folder counts', async () => {
    await printedAfter(`src/new/file.ts changed, restarted in `, async () => {
      await mkdir(join(folder, 'src/new'))
      await writeFile(join(folder, 'src/new/file.ts'), '')
    })
  })

  test('changes that come together are one change', async () => {
    const before = restarts().length
    const text = await titled('last of many')
    for (let count = 0; count < BURST_FILES; count += 1) {
      writeFileSync(join(folder, `src/db/burst-${count}.ts`), '')
    }
    writeFileSync(join(folder, ROUTES), text)
    await isServed('last of many')
    await printedAfter('.env changed, restarted', () => writeFile(join(folder, '.env'), ''))
    // Two at most, unless the machine is so busy that the files come further apart than a start takes.
    expect(restarts().length - before).toBeLessThan(BURST_FILES / 2)
    await printedAfter('.env changed, restarted', () => rm(join(folder, '.env')))
  })

  test('files that editors put beside the sources are no change', async () => {
    const before = restarts().length
    const text = await titled('edited')
    await printedAfter(`${ROUTES} changed, restarted in `, () => {
      for (const name of ['4913', 'routes.ts~', '.routes.ts.swp', '.#routes.ts', '#routes.ts#']) {
        writeFileSync(join(folder, 'src/server/api', name), '')
      }
      writeFileSync(join(folder, ROUTES), text)
    })
    expect(restarts()).toHaveLength(before + 1)
  })

  test('what changes during a start is served', async () => {
    const before = await servicePid(dev)
    await replaceFile(ROUTES, await titled('first'))
    const isReplaced = async () => ![undefined, before].includes(await findService(dev))
    await eventually('the next process', isReplaced, PATIENCE_MS)
    await replaceFile(ROUTES, await titled('second'))
    await isServed('second')
  })

  test('.env counts when it is made, replaced and deleted', async () => {
    const allowed = async () => {
      const options = { headers: { origin: 'https://a.example' } }
      const answer = await createClient(dev.url).get('/health', options)
      return answer.headers.get('access-control-allow-origin')
    }
    expect(await allowed()).toBe('*')
    await printedAfter('.env changed, restarted', () =>
      writeFile(join(folder, '.env'), 'CORS_ORIGINS=https://a.example'),
    )
    expect(await allowed()).toBe('https://a.example')
    await printedAfter('.env changed, restarted', () =>
      replaceFile('.env', 'CORS_ORIGINS=https://b.example'),
    )
    expect(await allowed()).toBeNull()
    await printedAfter(NEXT_TRY, () => replaceFile('.env', 'CORS_ORIGINS=b.example'))
    expect(dev.text()).toContain('CORS_ORIGINS is "b.example", expected')
    await printedAfter('.env changed, restarted', () => rm(join(folder, '.env')))
    expect(await allowed()).toBe('*')
  })

  test.each([
    ['of types', 'export const routes = ('],
    ['of values', 'const routes = []\nconst routes = []'],
    ['of names', "import { nothing } from 'node:fs'"],
  ])('a syntax error %s is shown with its place, and its repair is served', async (_, mistake) => {
    const text = `export const a = 1\n${mistake}`
    const place = `${ROUTES}:${text.split('\n').length}\n`
    await printedAfter(place, () => printedAfter(NEXT_TRY, () => replaceFile(ROUTES, text)))
    expect(dev.text()).toContain('SyntaxError')
    await expect(createClient(dev.url).get('/health')).rejects.toThrow('fetch failed')
    await replaceFile(ROUTES, await titled('repaired'))
    await isServed('repaired')
  })

  test('a migration is applied; one that fails is shown, and its repair is applied', async () => {
    const name = 'migrations/9001_dev.sql'
    await printedAfter(NEXT_TRY, () => writeFile(join(folder, name), 'create tabel dev (id int)'))
    expect(dev.text()).toContain('Cannot apply "9001_dev.sql": syntax error at or near "tabel"')
    await printedAfter(`${name} changed, restarted`, () =>
      replaceFile(name, 'create table dev as select 42 as answer'),
    )
    expect(await query('select answer from dev')).toEqual([{ answer: 42 }])
  })

  test('a service that ends by itself is reported, and the next change starts it', async () => {
    await printedAfter(`The service ended (SIGKILL); ${NEXT_TRY}`, async () => {
      process.kill(await servicePid(dev), 'SIGKILL')
    })
    await replaceFile(ROUTES, await titled('started again'))
    await isServed('started again')
  })
})

describe('at its end', { timeout: TIMEOUT_MS }, () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s ends the service, its listeners and PostgreSQL',
    async (signal) => {
      dev = await startDev({ LISTENERS: '2' })
      const service = await servicePid(dev)
      const pids = [await postmasterPid(), service, ...childrenOf(service)]
      expect(pids.map(isAlive)).not.toContain(false)
      expect(await stop(signal)).toEqual([0, null])
      expect(pids.map(isAlive)).not.toContain(true)
      await expect(createClient(dev.url).get('/health')).rejects.toThrow('fetch failed')
    },
  )

  test('when it is killed the service ends, and the next start takes over PostgreSQL', async () => {
    dev = await startDev()
    const service = await servicePid(dev)
    const postmaster = await postmasterPid()
    await stop('SIGKILL')
    await eventually('the end of the service', () => !isAlive(service), PATIENCE_MS)
    dev = await startDev()
    expect(await postmasterPid()).toBe(postmaster)
    await stop()
  })
})
