import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { ConfigError, parseConfig } from '../../src/server/config/config.ts'
import { countCpus } from '../../src/server/config/cpus.ts'
import { HELP_COLUMNS, renderSettings } from '../../src/server/config/docs.ts'
import { logLevels } from '../../src/server/config/log-levels.ts'
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

/** The same for every module. */
function levels(level: string) {
  return { process: level, http: level, api: level, db: level, workers: level }
}

test("has the article's defaults", () => {
  expect(parseConfig({})).toMatchObject({
    JWT_EXPIRATION_HOURS: 24,
    SERVER_PORT: 8080,
    LOG_LEVEL: levels('info'),
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
  expect(config).toMatchObject({
    SERVER_PORT: 7000,
    LOG_LEVEL: levels('debug'),
    JWT_EXPIRATION_HOURS: 1,
  })
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

describe('a secret in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'taskapi-secrets-'))
  const KEY = 'a key for tests that is long enough'

  afterAll(() => rmSync(folder, { recursive: true }))

  function write(content: string | Buffer): string {
    const path = join(folder, `secret-${Math.random()}`)
    writeFileSync(path, content)
    return path
  }

  test('is read without its last line break, whichever variable of a secret names it', () => {
    const config = parseConfig({
      DATABASE_URL_FILE: write('postgres://u:p@db.example/taskapi\n'),
      JWT_SECRET_FILE: write(`${KEY}\r\n`),
      JWT_SECRET_PREVIOUS_FILE: write(`${KEY}\n\n`),
    })
    expect(config.DATABASE_URL?.address.database).toBe('taskapi')
    expect(config.JWT_SECRET?.reveal()).toBe(KEY)
    expect(config.JWT_SECRET_PREVIOUS?.reveal()).toBe(`${KEY}\n`)
  })

  test('may be named in .env, which the environment overrides', () => {
    const file = `JWT_SECRET_FILE=${write(KEY)}`
    expect(parseConfig({}, file).JWT_SECRET?.reveal()).toBe(KEY)
    expect(parseConfig({ JWT_SECRET: SECRET }, file).JWT_SECRET?.reveal()).toBe(SECRET)
    const env = { JWT_SECRET_FILE: write(SECRET) }
    expect(parseConfig(env, `JWT_SECRET=${KEY}`).JWT_SECRET?.reveal()).toBe(SECRET)
  })

  test('beside the secret itself is refused', () => {
    expect(problems({ JWT_SECRET: SECRET, JWT_SECRET_FILE: write(KEY) })).toEqual([
      {
        name: 'JWT_SECRET_FILE',
        value: 'set',
        expected: 'only one of JWT_SECRET and JWT_SECRET_FILE',
        source: 'the environment',
      },
    ])
  })

  test.each([
    ['does not exist', () => join(folder, 'absent'), 'ENOENT'],
    ['is a folder', () => folder, 'it is not a regular file'],
    ['is a device', () => '/dev/zero', 'it is not a regular file'],
    ['has more than 64 KB', () => write('s'.repeat(65_537)), 'it has 65537 bytes'],
    ['is not text', () => write(Buffer.alloc(40, 0xff)), 'a text file in UTF-8'],
    ['holds a NUL', () => write(`${KEY}\0${KEY}`), 'a text file in UTF-8'],
  ])('in a file that %s is refused with the path and the reason', (_, makePath, reason) => {
    const path = makePath()
    const found = problems({ JWT_SECRET_FILE: path })
    expect(found).toMatchObject([{ name: 'JWT_SECRET_FILE', value: JSON.stringify(path) }])
    expect(found[0]?.expected).toContain(reason)
    expect(JSON.stringify(found)).not.toContain(KEY)
  })

  test('of exactly 64 KB is accepted', () => {
    const text = 's'.repeat(65_536)
    expect(parseConfig({ JWT_SECRET_FILE: write(text) }).JWT_SECRET?.reveal()).toBe(text)
  })

  test('that is not accepted is blamed on the file, and not shown', () => {
    const path = write('mysql://u:hunter2@host/db')
    const found = problems({ DATABASE_URL_FILE: path, JWT_SECRET: SECRET })
    expect(found).toMatchObject([
      {
        name: 'DATABASE_URL',
        value: 'a value of 25 bytes',
        source: `${JSON.stringify(path)}, which DATABASE_URL_FILE names`,
      },
    ])
    expect(JSON.stringify(found)).not.toContain('hunter2')
    expect(problems({ JWT_SECRET_FILE: write('\n') })).toMatchObject([
      { name: 'JWT_SECRET', value: 'a value of 0 bytes' },
    ])
  })

  test('set as if it were the path of one is not shown', () => {
    for (const JWT_SECRET_FILE of ['hunter2/hunter2', 'postgres://u:hunter2@host/db']) {
      const found = problems({ JWT_SECRET_FILE })
      expect(found).toMatchObject([{ name: 'JWT_SECRET_FILE' }])
      expect(JSON.stringify(found)).not.toContain('hunter2')
    }
  })

  test('counts as set where another setting requires it', () => {
    const DATABASE_URL = 'postgres://u:p@db.example/taskapi'
    expect(problems({ DATABASE_URL, JWT_SECRET_FILE: write(KEY) })).toEqual([])
    const found = problems({ DATABASE_URL_FILE: write(DATABASE_URL) })
    expect(found).toMatchObject([{ name: 'JWT_SECRET', value: 'not set' }])
  })

  test('is no way to set what is no secret', () => {
    expect(parseConfig({ SERVER_PORT_FILE: write('9000') }).SERVER_PORT).toBe(8080)
  })
})

test.each([
  'http://:hunter2@collector.example:4318',
  'http://ada:hunter2@collector.example:4318',
  'http:ada:hunter2@collector.example',
  'https://collector.example/?key=hunter2',
  'https://collector.example/?',
])('the URL of a collector holds no secret, and one that might is not shown: %s', (url) => {
  const found = problems({ OTEL_EXPORTER_OTLP_ENDPOINT: url })
  expect(found).toMatchObject([{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT' }])
  expect(JSON.stringify(found)).not.toContain('hunter2')
})

test.each(['key=a%0Ab', 'key=%00', 'key=%E2%82%AC'])(
  'a header for the collector that Node would not send is refused: %s',
  (headers) => {
    const found = problems({ OTEL_EXPORTER_OTLP_HEADERS: headers })
    expect(found).toMatchObject([{ name: 'OTEL_EXPORTER_OTLP_HEADERS' }])
  },
)

test('PORT is used only where SERVER_PORT is set nowhere, and errors name it', () => {
  expect(parseConfig({ PORT: '9000' }).SERVER_PORT).toBe(9000)
  expect(parseConfig({}, 'PORT=9000').SERVER_PORT).toBe(9000)
  expect(parseConfig({ PORT: '9000', SERVER_PORT: '7000' }).SERVER_PORT).toBe(7000)
  expect(parseConfig({ PORT: '9000' }, 'SERVER_PORT=7000').SERVER_PORT).toBe(7000)
  expect(parseConfig({ PORT: '' }).SERVER_PORT).toBe(8080)
  expect(problems({ PORT: '80a' })).toMatchObject([
    { name: 'PORT', value: '"80a"', source: 'the environment' },
  ])
  expect(problems({ PORT: '80a', SERVER_PORT: '7000' })).toEqual([])
})

test('words may be written in upper case, and on and off as other words', () => {
  const config = parseConfig({
    LOG_LEVEL: 'INFO',
    DB_POOLER: 'Transaction',
    RATE_LIMIT: '100/S',
    TRUSTED_PROXIES: 'Loopback',
  })
  expect(config).toMatchObject({ LOG_LEVEL: levels('info'), DB_POOLER: 'transaction' })
  expect(config.RATE_LIMIT).toEqual({ requests: 100, seconds: 1 })
  expect(config.TRUSTED_PROXIES).toHaveLength(2)
  expect(parseConfig({ RATE_LIMIT: 'OFF' }).RATE_LIMIT).toBeUndefined()
  for (const DB_BATCHING of ['On', 'TRUE', 'yes', '1']) {
    expect(parseConfig({ DB_BATCHING }).DB_BATCHING).toBe(true)
  }
  for (const DB_BATCHING of ['OFF', 'false', 'No', '0']) {
    expect(parseConfig({ DB_BATCHING }).DB_BATCHING).toBe(false)
  }
  expect(problems({ DB_BATCHING: 'maybe' })).toMatchObject([{ name: 'DB_BATCHING' }])
})

test.each([
  ['info,db=debug,http=warn', { ...levels('info'), db: 'debug', http: 'warn' }],
  ['db=debug', { ...levels('info'), db: 'debug' }],
  [' DB = Debug , ERROR', { ...levels('error'), db: 'debug' }],
])('LOG_LEVEL %s gives single modules a level of their own', (LOG_LEVEL, expected) => {
  expect(parseConfig({ LOG_LEVEL }).LOG_LEVEL).toEqual(expected)
})

test.each([
  ['loud', '"loud" is not a level'],
  ['info,', '"" is not a level'],
  ['info,db=', '"" is not a level'],
  ['db=debug=info', '"debug=info" is not a level'],
  ['info,database=debug', '"database" is not a module'],
  ['info,=debug', '"" is not a module'],
  ['info,warn', 'there are two levels for all modules'],
  ['db=info,db=warn', 'there are two levels for db'],
])('LOG_LEVEL %s is refused with the reason and what is accepted', (LOG_LEVEL, reason) => {
  const [found] = problems({ LOG_LEVEL })
  expect(found?.expected).toBe(`${logLevels.expected}; ${reason}`)
  for (const word of ['silent', 'process', 'workers']) expect(logLevels.expected).toContain(word)
})

test('the help fits its columns and aligns what it says about each setting', () => {
  const lines = renderSettings().split('\n')
  expect(lines.filter((line) => line.length > HELP_COLUMNS)).toEqual([])
  const column = lines.find((line) => line.includes(' Token lifetime'))?.indexOf('Token lifetime')
  const accepted = lines.filter((line) => line.includes('Accepted: '))
  expect(accepted).toHaveLength(settingEntries.length)
  expect(new Set(accepted.map((line) => line.indexOf('Accepted: ')))).toEqual(new Set([column]))
})
