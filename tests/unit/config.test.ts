import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { ConfigError, parseConfig } from '../../src/server/config/config.ts'
import { countCpus } from '../../src/server/config/cpus.ts'
import { settingEntries } from '../../src/server/config/settings.ts'
import { MAIN } from '../support/service.ts'

const SECRET = 'x'.repeat(32)

function problems(env: Record<string, string>, file = '') {
  try {
    parseConfig(env, file)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

test("has the article's defaults", () => {
  expect(parseConfig({})).toMatchObject({
    JWT_EXPIRATION_HOURS: 24,
    SERVER_PORT: 8080,
    LOG_LEVEL: 'info',
    LISTENERS: Math.max(1, Math.floor(countCpus() / 2)),
  })
})

test.each([
  ['postgres://u:p@db.example/taskapi', countCpus()],
  ['postgres://u:p@localhost/taskapi', Math.max(1, Math.floor(countCpus() / 2))],
  ['postgres:///taskapi?host=/run/postgresql&user=u', Math.max(1, Math.floor(countCpus() / 2))],
  ['postgres://u@[::1]/taskapi', Math.max(1, Math.floor(countCpus() / 2))],
  ['postgres://u@localhost,db.example/taskapi', countCpus()],
])('leaves CPUs to a PostgreSQL that shares them: %s', (DATABASE_URL, listeners) => {
  expect(parseConfig({ DATABASE_URL, JWT_SECRET: SECRET }).LISTENERS).toBe(listeners)
})

test('reads the environment first, then the file; empty means not set', () => {
  const file = 'SERVER_PORT=9000\nLOG_LEVEL="debug"\n# a comment\nJWT_EXPIRATION_HOURS=1'
  const config = parseConfig({ SERVER_PORT: '7000', LOG_LEVEL: '' }, file)
  expect(config).toMatchObject({ SERVER_PORT: 7000, LOG_LEVEL: 'debug', JWT_EXPIRATION_HOURS: 1 })
})

describe('a unix socket', () => {
  const path = '/run/taskapi/http.sock'

  test.each([path, `unix:${path}`])('has one listener by default: %s', (SERVER_HOST) => {
    const env = { DATABASE_URL: 'postgres://u:p@db.example/x', JWT_SECRET: SECRET, SERVER_HOST }
    expect(parseConfig(env)).toMatchObject({ SERVER_HOST: path, LISTENERS: 1 })
  })

  test('has no second listener', () => {
    expect(problems({ SERVER_HOST: path, LISTENERS: '2' })).toEqual([
      {
        name: 'LISTENERS',
        value: '"2"',
        expected: '1, because SERVER_HOST is a unix socket',
        source: 'the environment',
      },
    ])
    expect(problems({ SERVER_HOST: path, LISTENERS: '1' })).toEqual([])
  })

  test.each([`/${'x'.repeat(107)}`, 'unix:http.sock', '/run/', 'two words', '[::1]', 'a:80'])(
    'or an address it must be: %s',
    (SERVER_HOST) => {
      expect(problems({ SERVER_HOST })).toMatchObject([{ name: 'SERVER_HOST' }])
    },
  )
})

test('the published driver is refused behind a transaction pooler', () => {
  expect(problems({ DB_CLIENT: 'postgres', DB_POOLER: 'transaction' })).toEqual([
    {
      name: 'DB_CLIENT',
      value: '"postgres"',
      expected: 'wire, because DB_POOLER is transaction',
      source: 'the environment',
    },
  ])
})

test('names the source of a bad value', () => {
  expect(problems({ SERVER_PORT: 'x' }, 'LISTENERS=none')).toMatchObject([
    { name: 'SERVER_PORT', value: '"x"', source: 'the environment' },
    { name: 'LISTENERS', value: '"none"', source: '.env' },
  ])
})

test('gives values, not the strings of the environment', () => {
  const DATABASE_URL = 'postgres://u:p@db.example/taskapi'
  const config = parseConfig({ DATABASE_URL, JWT_SECRET: SECRET, DB_BATCHING: 'off' })
  expect(config.DB_BATCHING).toBe(false)
  expect(parseConfig({}).DB_BATCHING).toBe(true)
  expect(config.DATABASE_URL?.isLocal).toBe(false)
  expect(config.DATABASE_URL?.url.reveal()).toBe(DATABASE_URL)
  expect(config.JWT_SECRET?.reveal()).toBe(SECRET)
})

test.each([
  ['*', undefined],
  ['https://a.example', ['https://a.example']],
  ['https://a.example, http://localhost:3000', ['https://a.example', 'http://localhost:3000']],
])('CORS_ORIGINS %s allows %s', (CORS_ORIGINS, allowed) => {
  const { CORS_ORIGINS: origins } = parseConfig({ CORS_ORIGINS })
  expect(origins && [...origins]).toEqual(allowed)
})

test('accepts every default that it documents', () => {
  for (const [name, setting] of settingEntries) {
    if (setting.default !== undefined) expect(problems({ [name]: setting.default })).toEqual([])
  }
})

test('is frozen', () => {
  expect(Object.isFrozen(parseConfig({}))).toBe(true)
})

describe('JWT_SECRET', () => {
  const DATABASE_URL = 'postgres://u:p@localhost/taskapi'

  test('counts bytes, and is never shown', () => {
    expect(problems({ JWT_SECRET: 'é'.repeat(16), DATABASE_URL })).toEqual([])
    expect(problems({ JWT_SECRET: 'é'.repeat(15), DATABASE_URL })).toMatchObject([
      { name: 'JWT_SECRET', value: 'a value of 30 bytes' },
    ])
  })

  test('is required with DATABASE_URL', () => {
    expect(problems({ DATABASE_URL })).toMatchObject([{ name: 'JWT_SECRET', value: 'not set' }])
  })
})

test.each([
  ['postgres://u:p@host:5432/db', true],
  ['postgresql://host/db?sslmode=require', true],
  ['postgres:///db?host=/tmp/folder&user=me', true],
  ['postgres://host', true],
  ['postgres://u@[::1]:5432/db', true],
  ['postgres://u@one,two:5433/db', true],
  ['mysql://host/db', false],
  ['host/db', false],
])('DATABASE_URL %s: %s', (DATABASE_URL, valid) => {
  expect(problems({ DATABASE_URL, JWT_SECRET: SECRET }).length === 0).toBe(valid)
})

test.each([
  ['?sslmode=maybe', 'sslmode must be one of disable'],
  ['?statement_timeout=5', 'parameter statement_timeout is not supported'],
  ['?sslmode=verify-ca', 'needs sslrootcert'],
  ['/%zz', 'percent-encoded'],
])('a DATABASE_URL with %s is refused with the reason, but not shown', (rest, reason) => {
  const DATABASE_URL = `postgres://ada:hunter2@db.example/taskapi${rest}`
  const [found] = problems({ DATABASE_URL, JWT_SECRET: SECRET })
  expect(found?.expected).toContain(reason)
  expect(JSON.stringify(found)).not.toContain('hunter2')
})

test('the configuration does not load the driver', () => {
  const config = new URL('../../src/server/config/config.ts', import.meta.url)
  const script = `
    await import(${JSON.stringify(config.href)})
    const { createRequire, default: { _cache } } = await import('node:module')
    console.log(Object.keys(_cache).filter((file) => file.includes('/postgres/')).length)
    console.log(process.moduleLoadList.includes('NativeModule tls'))`
  const output = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })
  expect(output).toBe('0\nfalse\n')
})

test.each([
  ['*', true],
  ['https://a.example', true],
  ['https://a.example, http://localhost:3000', true],
  ['https://a.example/', false],
  ['a.example', false],
  ['https://a.example,*', false],
])('CORS_ORIGINS %s: %s', (CORS_ORIGINS, valid) => {
  expect(problems({ CORS_ORIGINS }).length === 0).toBe(valid)
})

test('README.md, .env.example and package.json are what the code says', () => {
  expect(() => execFileSync(process.execPath, [MAIN, 'docs', '--check'])).not.toThrow()
})

test('takes a list of header names, and nothing else, for what browsers may send', () => {
  const { CORS_HEADERS } = parseConfig({ CORS_HEADERS: 'Authorization,x-own , If-Match' })
  expect(CORS_HEADERS).toEqual(['Authorization', 'x-own', 'If-Match'])
  for (const text of ['Authorization,', 'two words', 'a:b', 'a\r\nb', 'ä']) {
    expect(problems({ CORS_HEADERS: text })).toMatchObject([{ name: 'CORS_HEADERS' }])
  }
})
