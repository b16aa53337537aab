// The command `doctor`, on what is well and on what is broken.
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { examine, print, type Report } from '../support/doctor.ts'
import {
  hasPgBouncer,
  type PgBouncer,
  type PoolMode,
  startPgBouncer,
} from '../support/pgbouncer.ts'
import { JWT_SECRET, runMain, startService } from '../support/service.ts'
import {
  hasSystemPostgres,
  type Standby,
  type SystemPostgres,
  startStandby,
  startSystemPostgres,
} from '../support/system-postgres.ts'

const SECRET = 'secretword'
/** No check needs more, and they run at the same time. */
const PATIENCE_MS = 60_000

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase()
})

afterEach(() => database.drop())

/** The levels of the checks that do not depend on the database. */
function expectOthers({ of }: Report): void {
  for (const check of ['Node', 'uWebSockets.js', 'settings', 'port', 'CPUs']) {
    expect(of(check)?.level, check).toBe('ok')
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('a migrated database on a machine that is large enough is well', async () => {
  const report = await examine({ DATABASE_URL: database.url })
  expect(report.findings.filter(({ level }) => level === 'problem')).toEqual([])
  expect(report.code).toBe(0)
  expectOthers(report)
  expect(report.of('version')?.found).toMatch(/^PostgreSQL 18/)
  expect(report.of('rights')?.found).toBe('Role "postgres" reads and writes, and may migrate')
  expect(report.of('encoding')?.found).toContain('UTF8')
  expect(report.of('migrations')?.found).toMatch(/^All \d+ are applied$/)
  for (const check of ['database', 'TLS', 'pooler', 'clock', 'connections', 'open files']) {
    expect(report.of(check)?.level, check).toBe('ok')
  }
  expect(report.output).not.toContain(JWT_SECRET)
})

test('for people, every check has a mark and every fix a line', async () => {
  const { code, stdout, stderr } = await print({
    DATABASE_URL: `postgres://ada:${SECRET}@127.0.0.1:1/d`,
    LOGLEVEL: 'debug',
  })
  expect(code).toBe(1)
  expect(stderr).toBe('1 problem, 1 warning\n')
  expect(stdout).toMatch(/^✓ Node +Node v/m)
  expect(stdout).toMatch(/^! settings +LOGLEVEL is not a setting; did you mean LOG_LEVEL\?$/m)
  expect(stdout).toMatch(/^✗ database +Cannot connect to 127\.0\.0\.1 port 1: ECONNREFUSED/m)
  expect(stdout).toMatch(/^ +fix: start PostgreSQL/m)
  expect(stdout).not.toMatch(/^ +at /m)
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
})

test('docs/operating.md shows what it prints', async () => {
  const page = await readFile('docs/operating.md', 'utf8')
  const [, line = '', transcript = ''] =
    /```console\n\$ ([^\n]*) taskapi doctor\n([^]*?)```/.exec(page) ?? []
  const env = Object.fromEntries(line.split(' ').map((word) => word.split(/=(.*)/s).slice(0, 2)))
  const command = await runMain({ ...env, SERVER_PORT: '0' }, ['doctor'])
  const printed = command.child.stdout ? await text(command.child.stdout) : ''
  await command.exited
  // What is found of the machine differs, but not what is looked at, and not what is wrong with the command.
  const parts = (output: string) =>
    output
      .replace(/^\d+ problems, .*\n/m, '')
      .split(/^(?=[✓!✗-] )/m)
      .map((part) => (/^. (settings|database)/.test(part) ? part : part.split('  ')[0]?.slice(2)))
      .filter((part) => !part?.startsWith('✓'))
  expect(parts(transcript)).toEqual(parts(printed))
  expect(transcript).toContain('\n2 problems, ')
  expect(command.stderr()).toMatch(/^2 problems, /)
})

describe('a database that cannot be reached', () => {
  test.each([
    ['where nothing listens', '127.0.0.1:1', 'nothing listens on that port'],
    ['on a host that there is not', 'nowhere.invalid', /no host of that name|be looked up now/],
  ])('%s is named, and all else is checked', async (_, host, words) => {
    const report = await examine({ DATABASE_URL: `postgres://ada:${SECRET}@${host}/d` })
    expect(report.of('database')).toMatchObject({ level: 'problem', fix: expect.any(String) })
    expect(report.of('database')?.found).toMatch(words)
    expect(report.findings.filter(({ level }) => level === 'skipped')).toHaveLength(1)
    expectOthers(report)
    expect(report.output).not.toContain(SECRET)
  })

  test(
    'because what listens there says nothing, is given up',
    async () => {
      const silent = createServer()
      const port = await listen(silent)
      const report = await examine({ DATABASE_URL: `postgres://ada:${SECRET}@127.0.0.1:${port}/d` })
      expect(report.of('database')).toMatchObject({
        level: 'problem',
        found: expect.stringContaining('nothing answers'),
      })
      expectOthers(report)
      silent.close()
    },
    PATIENCE_MS,
  )

  test('because it does not exist, is named with what makes it', async () => {
    const url = new URL(database.url)
    url.pathname = '/absent'
    expect((await examine({ DATABASE_URL: url.href })).of('database')).toMatchObject({
      level: 'problem',
      found: 'database "absent" does not exist: the database does not exist',
      fix: expect.stringContaining('createdb'),
    })
  })
})

describe.skipIf(!hasPgBouncer())('a pooler (needs the package pgbouncer)', () => {
  const poolers: Partial<Record<PoolMode, PgBouncer>> = {}
  let pooled: TestDatabase

  beforeAll(async () => {
    pooled = await createDatabase()
    for (const mode of ['session', 'transaction'] as const) {
      poolers[mode] = await startPgBouncer(pooled.url, mode)
    }
  })

  afterAll(async () => {
    for (const pooler of Object.values(poolers)) await pooler.stop()
    await pooled.drop()
  })

  test.each([
    ['session', 'none', 'ok'],
    ['transaction', 'none', 'problem'],
    // The role has no limits for its statements.
    ['transaction', 'transaction', 'warning'],
  ] as const)('that keeps a %s is found, with DB_POOLER=%s', async (mode, DB_POOLER, level) => {
    const report = await examine({ DATABASE_URL: poolers[mode]?.url ?? '', DB_POOLER })
    expect(report.of('pooler')?.level).toBe(level)
    if (level === 'problem') expect(report.of('pooler')?.fix).toBe('set DB_POOLER=transaction')
    expect(report.of('migrations')?.level).toBe('ok')
  })

  test('that there is not is no reason for DB_POOLER=transaction', async () => {
    const report = await examine({ DATABASE_URL: pooled.url, DB_POOLER: 'transaction' })
    expect(report.of('pooler')).toMatchObject({ level: 'warning', fix: 'set DB_POOLER=none' })
  })

  test('a wrong password is named, and not shown', async () => {
    const url = new URL(poolers.session?.url ?? '')
    url.password = SECRET
    const report = await examine({ DATABASE_URL: url.href })
    expect(report.of('database')?.fix).toContain('correct user and password')
    expect(report.output).not.toContain(SECRET)
  })
})

test('a role that may only read is told the grants that it lacks, and is well with them', async () => {
  const role = `reader_${Date.now()}`
  await database.query(`create role ${role} login`)
  await database.query(`grant select on all tables in schema public to ${role}`)
  const url = new URL(database.url)
  url.searchParams.set('user', role)
  const report = await examine({ DATABASE_URL: url.href })
  const rights = report.of('rights')
  expect(rights).toMatchObject({
    level: 'problem',
    found: expect.stringContaining('insert on tasks'),
  })
  expect(report.code).toBe(1)
  const [, grants = ''] = rights?.fix?.split('tables: ') ?? []
  await database.query(grants)
  expect((await examine({ DATABASE_URL: url.href })).of('rights')).toMatchObject({
    level: 'ok',
    found: `Role "${role}" reads and writes, and may not migrate`,
  })
  await database.query(`drop owned by ${role}; drop role ${role}`)
})

describe('a schema', () => {
  const LAST = `delete from schema_migrations where name like '0004%'`

  test.each([
    ['older', LAST, 'auto', 'warning', 'pending'],
    ['older, that nobody migrates', LAST, 'check', 'problem', 'pending'],
    [
      'newer',
      `insert into schema_migrations values ('9999_later', 'x')`,
      'auto',
      'warning',
      '9999_later: newer',
    ],
    ['edited', `update schema_migrations set checksum = 'x'`, 'auto', 'problem', 'edited'],
  ])('that is %s is named', async (_, sql, MIGRATE, level, words) => {
    await database.query(sql)
    const migrations = (await examine({ DATABASE_URL: database.url, MIGRATE })).of('migrations')
    expect(migrations).toMatchObject({ level, fix: expect.any(String) })
    expect(migrations?.found).toContain(words)
  })
})

test('a database in another encoding than UTF8 is a problem', async () => {
  const latin = await createDatabase({
    like: `template template0 encoding 'LATIN1' locale 'C' locale_provider libc`,
  })
  const report = await examine({ DATABASE_URL: latin.url })
  expect(report.of('encoding')).toMatchObject({
    level: 'problem',
    found: 'LATIN1, collation C',
  })
  await latin.drop()
})

test('more connections than the server has are a problem', async () => {
  const report = await examine({
    DATABASE_URL: database.url,
    LISTENERS: '2',
    DB_CONNECTIONS: '100',
  })
  expect(report.of('connections')).toMatchObject({
    level: 'problem',
    found: expect.stringContaining('200 needed (2 listeners x 100), 97 allowed'),
  })
})

describe.skipIf(!hasSystemPostgres())('a standby (needs postgresql-15)', () => {
  let primary: SystemPostgres
  let standby: Standby

  beforeAll(async () => {
    primary = await startSystemPostgres()
    standby = await startStandby(primary)
  })

  afterAll(async () => {
    await standby?.stop()
    await primary?.stop()
  })

  test('is a problem, and is examined all the same', async () => {
    const report = await examine({ DATABASE_URL: standby.url })
    expect(report.of('database')).toMatchObject({
      level: 'problem',
      found: expect.stringContaining('a standby that only reads'),
    })
    expect(report.of('version')?.found).toMatch(/^PostgreSQL 15.*, a standby$/)
  })
})

describe('the port', () => {
  test('that another program has is a problem, with its name', async () => {
    const other = createServer((socket) => socket.end())
    const port = await listen(other)
    const report = await examine({ DATABASE_URL: database.url, SERVER_PORT: String(port) })
    expect(report.of('port')?.level).toBe('problem')
    expect(report.of('port')?.found).toContain(`Cannot listen on 127.0.0.1:${port}`)
    expect(report.of('port')?.found).toContain(`pid ${process.pid})`)
    other.close()
  })

  test('for operators is checked where there is one', async () => {
    const other = createServer((socket) => socket.end())
    const port = await listen(other)
    const report = await examine({ DATABASE_URL: database.url, ADMIN_PORT: String(port) })
    expect(report.of('admin port')).toMatchObject({
      level: 'problem',
      fix: 'set ADMIN_PORT to a free port',
    })
    other.close()
    const elsewhere = { ADMIN_PORT: '0', ADMIN_HOST: '192.0.2.1' }
    const { of } = await examine({ DATABASE_URL: database.url, ...elsewhere })
    expect(of('admin port')?.fix).toMatch(/^set ADMIN_HOST to one that it has/)
    expect((await examine({ DATABASE_URL: database.url })).of('admin port')).toBeUndefined()
  })

  test('that the service has is as it should be, unless it is not ready', async () => {
    const service = await startService(database.url)
    const settings = { DATABASE_URL: database.url, SERVER_PORT: String(service.port) }
    expect((await examine(settings)).of('port')).toMatchObject({
      level: 'ok',
      found: `taskapi serves on http://127.0.0.1:${service.port}`,
    })
    await service.stop()
    const lost = await runMain({
      ...settings,
      DATABASE_URL: 'postgres://ada@127.0.0.1:1/d',
      JWT_SECRET,
      SERVER_HOST: '127.0.0.1',
      LISTENERS: '1',
    })
    await eventually('it to listen', () =>
      fetch(`${service.url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
    expect((await examine(settings)).of('port')).toMatchObject({
      level: 'warning',
      found: expect.stringContaining('is not ready: '),
    })
    lost.child.kill('SIGKILL')
  })
})

test('settings that cannot be used are all named, and what depends on none of them is checked', async () => {
  const report = await examine({
    DATABASE_URL: `mysql://ada:${SECRET}@host/d`,
    LISTENERS: 'many',
    LOGLEVEL: 'debug',
  })
  const found = report.findings.filter(({ check }) => check === 'settings')
  expect(found.map(({ level }) => level)).toEqual(['ok', 'problem', 'problem', 'warning'])
  expect(report.of('database')).toMatchObject({
    level: 'skipped',
    found: expect.stringContaining('DATABASE_URL cannot be used'),
  })
  expectOthers(report)
  expect(report.output).not.toContain(SECRET)
})

test('fewer descriptors than MAX_CONNECTIONS needs are a warning that says how many', async () => {
  const report = await examine({ DATABASE_URL: database.url }, 'ulimit -n 256')
  const files = report.of('open files')
  expect(files).toMatchObject({ level: 'warning', found: expect.stringMatching(/^256 allowed/) })
  expect(report.code).toBe(0)
})

describe('without DATABASE_URL', () => {
  test('a folder that cannot be made is a problem', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'taskapi-doctor-'))
    await writeFile(join(folder, 'file'), '')
    const report = await examine({ DATA_DIR: join(folder, 'file', 'data') })
    expect(report.of('DATA_DIR')?.level).toBe('problem')
    expect((await examine({ DATA_DIR: join(folder, 'data') })).of('DATA_DIR')?.level).toBe('ok')
    await rm(folder, { recursive: true })
  })

  test(
    'the local PostgreSQL of a running service is examined',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'taskapi-doctor-'))
      const settings = { DATA_DIR: folder, SERVER_HOST: '127.0.0.1', SERVER_PORT: '0' }
      const service = await runMain({ ...settings, LISTENERS: '1', SHUTDOWN_TIMEOUT_MS: '300' })
      await service.line(({ msg }) => msg === 'Listening')
      const report = await examine(settings)
      expect(report.of('version')?.found).toMatch(/^PostgreSQL 18/)
      service.child.kill('SIGTERM')
      await service.exited
      await rm(folder, { recursive: true })
    },
    PATIENCE_MS,
  )
})
