import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isAlive, readPidFile } from '../../src/db/local/postmaster.ts'
import { createClient, eventually, register } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import {
  JWT_SECRET,
  runMain,
  startService,
  type TestProcess,
  whenListening,
} from '../support/service.ts'

const TIMEOUT_MS = 90_000

describe('configuration', () => {
  async function refuse(env: Record<string, string>) {
    const running = await runMain(env)
    expect(await running.exited).toEqual({ code: 78, signal: null })
    return running.stderr()
  }

  test('every bad value is reported at once: name, value, expectation, source', async () => {
    const text = await refuse({
      DATABASE_URL: 'mysql://localhost/x',
      JWT_SECRET: 'too short',
      SERVER_PORT: '80a',
      LISTENERS: '0',
      LOG_LEVEL: 'loud',
      CORS_ORIGINS: 'example.com',
    })
    expect(text).toContain('SERVER_PORT is "80a", expected an integer from 0 to 65535')
    expect(text).toContain('(from the environment)')
    for (const name of ['DATABASE_URL', 'JWT_SECRET', 'LISTENERS', 'LOG_LEVEL', 'CORS_ORIGINS']) {
      expect(text).toContain(`${name} is `)
    }
    expect(text).not.toContain('too short')
    expect(text).not.toContain('mysql://')
  })

  test('what is wrong with DATABASE_URL is reported, and its password is not', async () => {
    const text = await refuse({
      DATABASE_URL: 'postgres://ada:hunter2@db.example/taskapi?sslmode=no-verify',
      JWT_SECRET,
    })
    expect(text).toContain('sslmode must be one of disable, prefer, require')
    expect(text).not.toContain('hunter2')
  })

  test('DATABASE_URL without a secret is refused', async () => {
    const text = await refuse({ DATABASE_URL: 'postgres://localhost/x' })
    expect(text).toContain('JWT_SECRET is not set')
  })

  test('--help names every setting and ends with 0', async () => {
    const running = await runMain({}, ['--help'])
    const help = readAll(running)
    expect((await running.exited).code).toBe(0)
    const settings = (await readFile('.env.example', 'utf8')).match(/^#[A-Z_]+(?==)/gm) ?? []
    expect(settings.length).toBeGreaterThan(15)
    for (const setting of settings) expect(await help).toContain(setting.slice(1))
  })

  test('an unknown command is refused with a suggestion', async () => {
    const running = await runMain({}, ['migrat'])
    expect((await running.exited).code).toBe(1)
    expect(running.stderr()).toContain('migrate')
  })

  test.each([
    [['--versoin'], "unknown option '--versoin'\n(Did you mean --version?)"],
    [['docs', '--chek'], "unknown option '--chek'\n(Did you mean --check?)"],
    [['serve', 'fast'], 'too many arguments'],
    [['--port', '80'], "unknown option '--port'"],
    [['listener'], "unknown command 'listener'"],
  ])('the arguments %j are refused', async (words, text) => {
    const running = await runMain({}, words)
    expect((await running.exited).code).toBe(1)
    expect(running.stderr()).toContain(text)
  })
})

/** One line says what is wrong and what helps, and the log says it once. */
function expectNoStack(running: TestProcess, problem: string, help: string): void {
  expect(running.stderr()).toMatch(/^.*\n$/)
  expect(running.stderr()).toContain(problem)
  expect(running.stderr()).toContain(help)
  const fatal = running.lines.filter(({ level }) => level === 'fatal')
  expect(fatal).toMatchObject([
    { msg: 'Cannot start', reason: { message: running.stderr().trimEnd() } },
  ])
  expect(JSON.stringify(running.lines)).not.toContain('stack')
}

test('a database that is not there in time is a clear error', async () => {
  const running = await runMain({
    DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/db',
    JWT_SECRET,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: '0',
    STARTUP_TIMEOUT_MS: '1',
  })
  expect((await running.exited).code).toBe(1)
  expectNoStack(running, 'Cannot reach PostgreSQL within 1 ms: ', 'raise STARTUP_TIMEOUT_MS')
  expect(running.stderr()).toContain('ECONNREFUSED')
  expect(running.stderr() + JSON.stringify(running.lines)).not.toContain('hunter2')
})

describe('the port', () => {
  test('taken by another program is a clear error', async () => {
    const database = await createDatabase()
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const running = await runMain({
      DATABASE_URL: database.url,
      JWT_SECRET,
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: String(port),
    })
    expect((await running.exited).code).toBe(1)
    expectNoStack(running, `Cannot listen on 127.0.0.1:${port}`, 'set SERVER_PORT to a free port')
    other.close()
    await database.drop()
  })

  test('taken by a second copy is a clear error, and the first goes on', async () => {
    const database = await createDatabase()
    const first = await startService(database.url, { LISTENERS: '2' })
    const second = await runMain({
      DATABASE_URL: database.url,
      JWT_SECRET,
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: String(first.port),
    })
    expect((await second.exited).code).toBe(1)
    expect(second.stderr()).toContain('another copy of taskapi')
    expect((await createClient(first.url).get('/health')).status).toBe(200)
    expect(await first.stop()).toEqual({ code: 0, signal: null })
    await database.drop()
  })
})

test('the first line says what memory the process may use and how large its heap may grow', async () => {
  const database = await createDatabase()
  const service = await startService(database.url)
  const { memory_mb, heap_mb } = await service.line(({ msg }) => msg === 'Listening')
  expect(memory_mb).toBeGreaterThan(0)
  expect(memory_mb).toBeLessThanOrEqual(Math.ceil(totalmem() / 1e6))
  expect(heap_mb).toBeLessThanOrEqual(Number(memory_mb))
  await service.stop()
  await database.drop()
})

describe('without DATABASE_URL', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskapi-local-'))
  })

  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  function start(env: Record<string, string> = {}) {
    return runMain({
      DATA_DIR: folder,
      SERVER_HOST: '127.0.0.1',
      SERVER_PORT: '0',
      SHUTDOWN_TIMEOUT_MS: '300',
      ...env,
    })
  }

  test(
    'the printed transcript works, data and secret are kept, nothing is left behind',
    async () => {
      const first = await whenListening(await start())
      await eventually('the welcome', () => first.stderr().includes('Stop with Ctrl-C'))
      const commands = first
        .stderr()
        .split('\n')
        .filter((line) => /^(curl|TOKEN=)/.test(line))
      expect(commands).toHaveLength(4)
      const shell = spawn('sh', ['-ec', commands.join('\n')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let output = ''
      shell.stdout.on('data', (chunk) => {
        output += chunk
      })
      await once(shell, 'close')
      expect(output).toContain('"title":"Write integration tests"')

      const secret = join(folder, 'jwt-secret')
      expect((await stat(secret)).mode & 0o777).toBe(0o600)
      const token = output.match(/"token":"([^"]+)"/)?.[1] ?? ''
      const postmaster = await postmasterPid(folder)
      expect(await first.stop()).toEqual({ code: 0, signal: null })
      expect(isRunning(postmaster)).toBe(false)

      const second = await whenListening(await start())
      const { status, body } = await createClient(second.url).get('/api/v1/tasks', { token })
      expect(status).toBe(200)
      expect(body).toHaveLength(1)
      expect((await second.stop()).code).toBe(0)
      expect(isRunning(await postmasterPid(folder))).toBe(false)
    },
    TIMEOUT_MS,
  )

  test(
    'kill -9 of the whole tree while serving loses nothing that was acknowledged',
    async () => {
      const first = await whenListening(await start({ LISTENERS: '2' }))
      const client = createClient(first.url)
      const { token } = await register(client)
      const acknowledged: string[] = []
      let killed = false
      const writers = Array.from({ length: 8 }, async () => {
        while (!killed) {
          const answer = await client
            .post('/api/v1/tasks', { title: 'x' }, { token })
            .catch(() => undefined)
          if (answer?.status === 201) acknowledged.push(answer.body.id)
        }
      })
      await eventually('some writes', () => acknowledged.length > 100)
      const postmaster = await postmasterPid(folder)
      const socketFolder = (await readPidFile(join(folder, 'postgres')))?.socketFolder ?? ''
      expect(existsSync(socketFolder)).toBe(true)
      const listeners = first.lines
        .filter(({ msg }) => msg === 'Listener is up')
        .map(({ pid }) => pid)
      for (const pid of [first.child.pid ?? 0, ...listeners, postmaster])
        process.kill(pid, 'SIGKILL')
      killed = true
      await Promise.all(writers)
      await first.exited

      const second = await whenListening(await start())
      expect(existsSync(socketFolder)).toBe(false)
      const reader = createClient(second.url)
      for (const id of acknowledged) {
        expect((await reader.get(`/api/v1/tasks/${id}`, { token })).status).toBe(200)
      }
      expect((await second.stop()).code).toBe(0)
      expect(isRunning(await postmasterPid(folder))).toBe(false)
    },
    TIMEOUT_MS,
  )

  test(
    'kill -9 of the supervisor alone: the next start takes over its PostgreSQL',
    async () => {
      const first = await whenListening(await start({ LISTENERS: '2' }))
      const postmaster = await postmasterPid(folder)
      const listeners = first.lines
        .filter(({ msg }) => msg === 'Listener is up')
        .map(({ pid }) => pid)
      first.child.kill('SIGKILL')
      await eventually('the listeners to notice', () => !listeners.some(isRunning))
      expect(isRunning(postmaster)).toBe(true)

      const second = await whenListening(await start({ SERVER_PORT: String(first.port) }))
      expect(await postmasterPid(folder)).toBe(postmaster)
      expect((await second.stop()).code).toBe(0)
      expect(isRunning(postmaster)).toBe(false)
    },
    TIMEOUT_MS,
  )

  test(
    'kill -9 at any moment of the first start: the next one works',
    async () => {
      for (const delayMs of [50, 150, 300, 450, 600, 800, 1000, 1300]) {
        const killed = await start()
        await new Promise((resolve) => setTimeout(resolve, delayMs))
        killed.child.kill('SIGKILL')
        await killed.exited
      }
      const service = await whenListening(await start())
      expect((await createClient(service.url).get('/ready')).status).toBe(200)
      expect((await service.stop()).code).toBe(0)
      const drafts = (await readdir(folder)).filter((name) => name.includes('draft'))
      expect(drafts).toEqual([])
    },
    TIMEOUT_MS,
  )

  test.each(['SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGINT'] as const)(
    '%s for every process of a terminal drains, and no PostgreSQL is left behind',
    async (signal) => {
      const service = await whenListening(await start({ LISTENERS: '2' }))
      const postmaster = await postmasterPid(folder)
      const listeners = service.lines.filter(({ msg }) => msg === 'Listener is up')
      expect(listeners).toHaveLength(2)
      for (const { pid } of listeners) process.kill(pid, signal)
      service.child.kill(signal)
      expect(await service.exited).toEqual({ code: 0, signal: null })
      expect(service.lines.filter(({ msg }) => msg.startsWith('Listener died'))).toEqual([])
      expect(isRunning(postmaster)).toBe(false)
    },
    TIMEOUT_MS,
  )

  test(
    'SIGTERM while starting ends cleanly and leaves no process',
    async () => {
      const running = await start()
      await eventually('the cluster to be made', () => existsSync(join(folder, 'postgres')), 30_000)
      running.child.kill('SIGTERM')
      expect(await running.exited).toEqual({ code: 0, signal: null })
      expect(isRunning(await postmasterPid(folder))).toBe(false)
    },
    TIMEOUT_MS,
  )

  test('a kept secret that was cut short is refused, and not shown', async () => {
    await writeFile(join(folder, 'jwt-secret'), 'cut short\n', { mode: 0o600 })
    const running = await start()
    expect((await running.exited).code).toBe(1)
    expect(running.stderr()).toContain(
      `"${join(folder, 'jwt-secret')}": expected at least 32 bytes`,
    )
    expect(running.stderr() + JSON.stringify(running.lines)).not.toContain('cut short')
  })

  test('a folder that cannot be made or written is a clear error', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    const running = await start({ DATA_DIR: join(file, 'data') })
    expect((await running.exited).code).toBe(1)
    const help = 'set DATA_DIR to a folder that this user may write'
    expectNoStack(running, `Cannot use "${join(file, 'data')}": a part of its path`, help)
  })

  test(
    'a second copy on the same folder is refused',
    async () => {
      const first = await whenListening(await start())
      const second = await start()
      expect((await second.exited).code).toBe(1)
      expectNoStack(second, 'another copy of taskapi', 'set DATA_DIR or DATABASE_URL')
      expect((await createClient(first.url).get('/ready')).status).toBe(200)
      expect((await first.stop()).code).toBe(0)
    },
    TIMEOUT_MS,
  )
})

/** The pid in PostgreSQL's pid file, or 0. */
async function postmasterPid(folder: string): Promise<number> {
  const text = await readFile(join(folder, 'postgres/postmaster.pid'), 'utf8').catch(() => '')
  return Number.parseInt(text, 10) || 0
}

/** False for 0, for a process that has ended and for one that only waits to be reaped. */
function isRunning(pid: number): boolean {
  return pid !== 0 && isAlive(pid)
}

async function readAll(running: TestProcess): Promise<string> {
  let text = ''
  running.child.stdout?.on('data', (chunk) => {
    text += chunk
  })
  await running.exited
  return text
}
