// The service with URLs of the shapes that providers hand out (docs/providers.md), on servers that are set up alike.
import { chmod, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openTextSession } from '../../src/db/wire/text-session.ts'
import { createClient, register } from '../support/client.ts'
import { examine } from '../support/doctor.ts'
import {
  hasPgBouncer,
  type PgBouncer,
  type PoolMode,
  startPgBouncer,
  TENANT,
} from '../support/pgbouncer.ts'
import { JWT_SECRET, runMain, startService, type TestService } from '../support/service.ts'
import {
  hasSystemPostgres,
  type SystemPostgres,
  startSystemPostgres,
} from '../support/system-postgres.ts'
import {
  type Certificate,
  hasIpv6,
  hasOpenssl,
  makeAuthority,
  type OwnServer,
  startOwnServer,
} from '../wire/own-server.ts'

const TIMEOUT_MS = 120_000
const PASSWORD = 'pass word/@é1'
const USER = `app:${encodeURIComponent(PASSWORD)}`
/** No password goes over a network in clear, as everywhere. */
const HBA = [
  'local all postgres trust',
  `local all "${TENANT}" trust`,
  'local all all scram-sha-256',
  'hostssl all all all scram-sha-256',
]
const TRANSACTION = { DB_POOLER: 'transaction' }
const isComplete = (await hasOpenssl()) && hasPgBouncer() && hasSystemPostgres()

describe.skipIf(!isComplete)('a URL (needs openssl, pgbouncer, postgresql-15)', () => {
  let folder: string
  let authority: string
  let certificate: Certificate
  let server: OwnServer
  let older: SystemPostgres
  let poolers: Record<'session' | 'transaction', PgBouncer>
  let databases = 0
  /** Made anew for each test, and empty. */
  let database: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'providers-'))
    await chmod(folder, 0o755)
    const made = await makeAuthority(folder, 'authority')
    authority = made.certificateFile
    // For the name and for the address of IPv6, but not for 127.0.0.1.
    certificate = await made.issue('server', 'DNS:localhost,IP:::1')
    // Whoever the pooler runs as must be able to read it.
    await chmod(certificate.keyFile, 0o644)
    server = await startOwnServer(HBA, certificate, authority)
    older = await startSystemPostgres()
    await administer(`create role app login password '${PASSWORD}'`)
    await administer(`create role "${TENANT}" login superuser`)
    poolers = {
      session: await startPooler('session'),
      transaction: await startPooler('transaction'),
    }
  }, TIMEOUT_MS)

  afterAll(async () => {
    for (const pooler of Object.values(poolers ?? {})) await pooler.stop()
    await older?.stop()
    await server?.stop()
    await rm(folder, { recursive: true })
  }, TIMEOUT_MS)

  beforeEach(async () => {
    databases += 1
    database = `provided_${databases}`
    await administer(`create database ${database} owner app`)
  })

  /** With its defaults, but for the certificate that it shows. */
  function startPooler(mode: PoolMode): Promise<PgBouncer> {
    return startPgBouncer(server.url, mode, {
      client_tls_sslmode: 'require',
      client_tls_cert_file: certificate.certificateFile,
      client_tls_key_file: certificate.keyFile,
    })
  }

  async function administer(text: string, name = 'postgres'): Promise<void> {
    await run(server.url.replace('/postgres?', `/${name}?`), text)
  }

  function direct(host: string, query = '', user = USER): string {
    return `postgres://${user}@${host}:${server.port}/${database}${query}`
  }

  function pooled(mode: 'session' | 'transaction', query = '', user = 'postgres'): string {
    const url = new URL(poolers[mode].url)
    return `postgresql://${user}:${url.password}@localhost:${url.port}/${database}${query}`
  }

  /** The first start migrates; the next one finds what the first has kept. */
  async function expectService(url: string, env: Record<string, string> = {}): Promise<void> {
    const first = await startService(url, env)
    const { token } = await register(createClient(first.url))
    const task = { title: 'kept' }
    const created = await createClient(first.url).post('/api/v1/tasks', task, { token })
    expect(created.status).toBe(201)
    expect((await first.stop()).code).toBe(0)
    const second = await startService(url, env)
    const path = `/api/v1/tasks/${created.body.id}`
    expect((await createClient(second.url).get(path, { token })).body).toEqual(created.body)
    expect(appliedBy(second)).toEqual([])
    expect((await second.stop()).code).toBe(0)
  }

  test.each<[shape: string, url: () => string, env?: Record<string, string>]>([
    ['Neon', () => direct('localhost', '?sslmode=require&channel_binding=require')],
    ['Neon, pooled', () => pooled('transaction', '?sslmode=require'), TRANSACTION],
    ['Supabase, session pooler', () => pooled('session', '', TENANT)],
    [
      'Supabase, transaction pooler',
      () => pooled('transaction', '?pgbouncer=true', TENANT),
      TRANSACTION,
    ],
    ['Amazon RDS', () => direct('localhost', `?sslmode=verify-full&sslrootcert=${authority}`)],
    [
      'Google Cloud SQL, public address',
      () => {
        const files = `sslcert=${certificate.certificateFile}&sslkey=${certificate.keyFile}`
        return direct('127.0.0.1', `?sslmode=verify-ca&sslrootcert=${authority}&${files}`)
      },
    ],
    ['Azure Flexible Server, DigitalOcean', () => direct('localhost', '?sslmode=require')],
    [
      'PgBouncer of Azure, Crunchy Bridge, DigitalOcean',
      () => pooled('transaction', '?sslmode=require'),
      TRANSACTION,
    ],
    ['a session pool of DigitalOcean', () => pooled('session', '?sslmode=require')],
    ['Crunchy Bridge', () => direct('127.0.0.1', `?sslmode=verify-ca&sslrootcert=${authority}`)],
    ['Heroku', () => direct('localhost')],
    [
      'several hosts, of which one is dead',
      () => direct('127.0.0.1:1,localhost', `?sslmode=verify-full&sslrootcert=${authority}`),
    ],
  ])('of the shape of %s', (_, url, env) => expectService(url(), env), TIMEOUT_MS)

  test.skipIf(!hasIpv6())(
    'of the shape of Supabase, direct: IPv6 (needs ::1)',
    () => expectService(direct('[::1]')),
    TIMEOUT_MS,
  )

  test(
    'of the shape of the Cloud SQL Auth Proxy: a unix socket in a folder with colons',
    async () => {
      await mkdir(join(folder, 'cloudsql'))
      const socketFolder = join(folder, 'cloudsql/project:region:instance')
      await symlink(older.folder, socketFolder)
      await run(older.url, `create role app login password '${PASSWORD}'`)
      await run(older.url, 'create database provided owner app')
      await expectService(`postgres://${USER}@/provided?host=${socketFolder}`)
    },
    TIMEOUT_MS,
  )

  test.each([
    ['channel binding', 'channel_binding=require', 'PostgreSQL offers no channel binding'],
    ['start-up options', 'options=-csearch_path%3Dapp', 'unsupported startup parameter: options'],
  ])(
    'that asks a pooler for %s is refused, and the reason is logged',
    async (_, parameter, reason) => {
      const running = await runMain({
        DATABASE_URL: pooled('transaction', `?sslmode=require&${parameter}`),
        ...TRANSACTION,
        JWT_SECRET,
        SERVER_HOST: '127.0.0.1',
        SERVER_PORT: '0',
        STARTUP_TIMEOUT_MS: '1',
      })
      const line = await running.line(({ msg }) => msg === 'Cannot start')
      expect(JSON.stringify(line.reason)).toContain(reason)
      expect((await running.exited).code).toBe(1)
    },
    TIMEOUT_MS,
  )

  test.each([
    [
      'verify-full',
      `&sslrootcert=AUTHORITY`,
      'localhost',
      'TLS',
      'ok',
      /^TLSv1.3, certificate and/,
    ],
    ['verify-ca', `&sslrootcert=AUTHORITY`, '127.0.0.1', 'TLS', 'ok', /^TLSv1.3, .* not its name$/],
    [
      'require',
      '',
      'localhost',
      'TLS',
      'ok',
      /^TLSv1.3, certificate not checked, on this machine$/,
    ],
    ['verify-full', '', 'localhost', 'database', 'problem', /unknown authority signed/],
    [
      'verify-full',
      '&sslrootcert=AUTHORITY',
      '127.0.0.1',
      'database',
      'problem',
      /certificate of the server is for another host/,
    ],
    ['disable', '', 'localhost', 'database', 'problem', /does not let this user in from here/],
  ])(
    'with sslmode=%s%s to %s: the command "doctor" finds for %s: %s, %s',
    async (mode, more, host, check, level, words) => {
      const query = `?sslmode=${mode}${more.replace('AUTHORITY', authority)}`
      const report = await examine({ DATABASE_URL: direct(host, query) })
      expect(report.of(check)).toMatchObject({ level, found: expect.stringMatching(words) })
      expect(report.output).not.toContain(PASSWORD)
    },
    TIMEOUT_MS,
  )

  test.each(['public', 'apart'])(
    'of a role that may only use rows, in the schema %s: the owner migrates, and it serves',
    async (schema) => {
      // Roles are the server's: each test has its own.
      const role = `taskapi_${databases}`
      const adapt = (sql: string) =>
        sql.replaceAll('schema public', `schema ${schema}`).replaceAll('taskapi', role)
      const as = (name: string, password: string) => {
        return direct('localhost', '', `${name}:${encodeURIComponent(password)}`)
      }
      const [grants = '', revokes = ''] = (await readSql()).map(adapt)
      // No superuser, as with providers.
      const admin = as(`admin_${databases}`, PASSWORD)
      await administer(`create role admin_${databases} login createrole password '${PASSWORD}'`)
      await administer(`alter database ${database} owner to admin_${databases}`)
      await run(admin, `create schema if not exists ${schema}; ${grants}`)
      if (schema !== 'public') {
        await run(admin, `alter role ${role} set search_path = ${schema}`)
        await run(admin, `alter role ${role}_owner set search_path = ${schema}`)
      }
      const owner = as(`${role}_owner`, 'change me')
      const serving = as(role, 'change me, too')

      const early = await runMain({
        DATABASE_URL: serving,
        JWT_SECRET,
        SERVER_HOST: '127.0.0.1',
        SERVER_PORT: '0',
      })
      expect((await early.exited).code).toBe(1)
      expect(early.stderr()).toContain('the owner of the tables has to apply it')

      const migrating = await runMain({ DATABASE_URL: owner, JWT_SECRET }, ['migrate'])
      expect((await migrating.exited).code).toBe(0)
      await run(owner, revokes)
      for (const MIGRATE of ['auto', 'check']) await expectService(serving, { MIGRATE })
      for (const forbidden of [
        'create table more (n int)',
        'drop table tasks',
        'alter table tasks add n int',
        'delete from schema_migrations',
      ]) {
        await expect(run(serving, forbidden)).rejects.toMatchObject({ code: '42501' })
      }
    },
    TIMEOUT_MS,
  )
})

/** What the page says to paste. */
async function readSql(): Promise<string[]> {
  const page = await readFile(new URL('../../docs/providers.md', import.meta.url), 'utf8')
  return [...page.matchAll(/```sql\n(.*?)```/gs)].map(([, sql = '']) => sql)
}

async function run(url: string, text: string): Promise<void> {
  const session = await openTextSession(readAddress(url), { connectTimeoutMs: 5000 })
  try {
    await session.query(text)
  } finally {
    session.end()
  }
}

function appliedBy({ lines }: TestService): unknown[] {
  return lines.filter(({ msg }) => msg === 'Migration applied')
}
