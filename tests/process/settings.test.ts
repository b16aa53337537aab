import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, register } from '../support/client.ts'
import { createDatabase } from '../support/database.ts'
import { JWT_SECRET, MAIN, runMain, startService, whenListening } from '../support/service.ts'

const DATABASE_URL = 'postgres://ada:hunter2@db.example:5433/tasks?sslmode=require'
const OTHER_SECRET = 'another secret for tests, of 32 bytes or more'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'taskapi-secrets-'))
})

afterAll(() => rm(folder, { recursive: true }))

async function keep(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

describe('the service', () => {
  test.each(['1', '2'])(
    'with %s listeners takes its secrets from files and its port from PORT',
    async (LISTENERS) => {
      const database = await createDatabase()
      const before = await startService(database.url, { JWT_SECRET: OTHER_SECRET })
      const { token } = await register(createClient(before.url))
      await before.stop()
      const running = await runMain({
        DATABASE_URL_FILE: await keep('database', `${database.url}\n`),
        JWT_SECRET_FILE: await keep('current', `${JWT_SECRET}\n`),
        JWT_SECRET_PREVIOUS_FILE: await keep('previous', `${OTHER_SECRET}\n`),
        PORT: String(before.port),
        SERVER_HOST: '127.0.0.1',
        SHUTDOWN_TIMEOUT_MS: '300',
        LISTENERS,
      })
      const service = await whenListening(running)
      expect(service.port).toBe(before.port)
      const client = createClient(service.url)
      expect((await client.get('/api/v1/tasks', { token })).status).toBe(200)
      expect(await service.stop()).toEqual({ code: 0, signal: null })
      await database.drop()
    },
  )

  test('a listener that replaces another has the secrets of the start, whatever the files hold by now', async () => {
    const database = await createDatabase()
    const before = await startService(database.url, { JWT_SECRET: OTHER_SECRET })
    const { token } = await register(createClient(before.url))
    await before.stop()
    const path = await keep('rotated', OTHER_SECRET)
    const service = await startService(database.url, {
      LISTENERS: '2',
      JWT_SECRET_PREVIOUS_FILE: path,
    })
    await keep('rotated', 'too short')
    const first = service.lines.filter(({ msg }) => msg === 'Listener is up').map(({ pid }) => pid)
    for (const pid of first) process.kill(pid, 'SIGKILL')
    await service.line(({ msg, pid }) => msg === 'Listener is up' && !first.includes(pid))
    const client = createClient(service.url)
    await expect
      .poll(async () => (await client.get('/api/v1/tasks', { token })).status, { timeout: 20_000 })
      .toBe(200)
    await service.stop()
    await database.drop()
  })

  test('warns once of each name that is like a setting, and of entries of .env that are none', async () => {
    const database = await createDatabase()
    const lines = "printf 'FEATURE_X=hunter2\\nLOGLEVEL=hunter2\\n' > .env"
    const env = { LISTENERS: '2', DATABSE_URL: 'postgres://u:hunter2@host/db' }
    const service = await startService(database.url, env, MAIN, lines)
    const warnings = service.lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)
    expect(warnings).toEqual([
      'DATABSE_URL is not a setting; did you mean DATABASE_URL?',
      'LOGLEVEL is not a setting; did you mean LOG_LEVEL?',
      '.env has entries that are not settings: FEATURE_X',
    ])
    await service.stop()
    expect(JSON.stringify(service.lines) + service.stderr()).not.toContain('hunter2')
    await database.drop()
  })
})

describe('taskapi config', () => {
  async function runConfig(env: Record<string, string>, words: string[] = [], preparation = '') {
    const running = await runMain(env, ['config', ...words], MAIN, preparation)
    let output = ''
    running.child.stdout?.on('data', (chunk) => {
      output += chunk
    })
    const { code } = await running.exited
    return { code, output, stderr: running.stderr() }
  }

  test('prints every setting, its value and where it comes from, and no secret', async () => {
    const env = {
      DATABASE_URL_FILE: await keep('shown', DATABASE_URL),
      PORT: '9000',
      LOG_LEVEL: 'DEBUG',
      CORS_ORIGINS: 'https://a.example',
    }
    const file = `printf 'JWT_SECRET=${OTHER_SECRET}\\nLOGIN_LIMITS=no\\n' > .env`
    const { code, output, stderr } = await runConfig(env, ['--json'], file)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(output)).toMatchObject({
      DATABASE_URL: {
        value: {
          hosts: [{ name: 'db.example', port: 5433 }],
          database: 'tasks',
          user: 'ada',
          sslmode: 'require',
        },
        source: 'DATABASE_URL_FILE in the environment',
      },
      JWT_SECRET: { value: { bytes: OTHER_SECRET.length }, source: '.env' },
      JWT_SECRET_PREVIOUS: { value: null, source: 'default' },
      SERVER_PORT: { value: 9000, source: 'PORT in the environment' },
      LOG_LEVEL: { value: 'DEBUG', source: 'the environment' },
      LISTENERS: { value: expect.any(Number), source: 'computed' },
      DB_CONNECTIONS: { value: 3, source: 'computed' },
      DB_QUEUE: { value: 2500, source: 'default' },
      CORS_ORIGINS: { value: 'https://a.example', source: 'the environment' },
      RATE_LIMIT: { value: 'off', source: 'default' },
      LOGIN_LIMITS: { value: false, source: '.env' },
    })
    const table = await runConfig(env, [], file)
    const lines = table.output.split('\n').map((line) => line.replaceAll(/  +/g, ' | '))
    expect(lines.join('\n')).toContain(
      'DATABASE_URL | host db.example, port 5433, database tasks, | DATABASE_URL_FILE in the environment\n | user ada, sslmode require\n',
    )
    expect(lines).toContain(`JWT_SECRET | set (${OTHER_SECRET.length} bytes) | .env`)
    expect(lines).toContain('JWT_SECRET_PREVIOUS | not set | default')
    expect(lines).toContain('LOGIN_LIMITS | off | .env')
    expect(lines).toContain('SERVER_PORT | 9000 | PORT in the environment')
    for (const secret of ['hunter2', OTHER_SECRET]) {
      expect(output + table.output + table.stderr).not.toContain(secret)
    }
  })

  test('says what a start without DATABASE_URL makes', async () => {
    const { output } = await runConfig({ DATA_DIR: 'data' })
    const lines = output.split('\n').map((line) => line.replaceAll(/  +/g, ' | '))
    expect(lines).toContain('DATABASE_URL | local PostgreSQL in data | made at the start')
    expect(lines).toContain('JWT_SECRET | kept in data/jwt-secret | made at the start')
    const json = await runConfig({ JWT_SECRET: OTHER_SECRET }, ['--json'])
    expect(JSON.parse(json.output)).toMatchObject({
      DATABASE_URL: { value: null, source: 'made at the start' },
      JWT_SECRET: { value: { bytes: OTHER_SECRET.length }, source: 'the environment' },
    })
  })

  test('warns of names that are like a setting, apart from what it prints', async () => {
    const { code, output, stderr } = await runConfig({ LOGLEVEL: 'debug' }, ['--json'])
    expect(code).toBe(0)
    expect(JSON.parse(output).LOG_LEVEL).toEqual({ value: 'info', source: 'default' })
    expect(stderr).toBe('LOGLEVEL is not a setting; did you mean LOG_LEVEL?\n')
  })

  test('ends with 78 and the usual error when the settings are not usable', async () => {
    const { code, output, stderr } = await runConfig({ PORT: '80a', JWT_SECRET_FILE: '/absent' })
    expect({ code, output }).toEqual({ code: 78, output: '' })
    expect(stderr).toContain('PORT is "80a", expected an integer from 0 to 65535')
    expect(stderr).toContain('JWT_SECRET_FILE is "/absent"')
    expect(stderr).toContain('ENOENT')
  })

  test('does not wait for a pipe that is named as the file of a secret', async () => {
    const { code, stderr } = await runConfig({ JWT_SECRET_FILE: './pipe' }, [], 'mkfifo pipe')
    expect(code).toBe(78)
    expect(stderr).toContain('JWT_SECRET_FILE is "./pipe"')
    expect(stderr).toContain('it is not a regular file')
  })
})
