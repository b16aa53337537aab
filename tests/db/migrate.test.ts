import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { migrate, readMigrations } from '../../src/db/migrate.ts'
import { eventually } from '../support/client.ts'
import { createDatabase, MIGRATIONS, type TestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'

/** How earlier versions of the service lock and unlock: for a whole session. */
const LOCK = 'pg_advisory_lock(7461736101)'
const UNLOCK = 'pg_advisory_unlock(7461736101)'

let database: TestDatabase
let folder: string

beforeEach(async () => {
  database = await createDatabase({ empty: true })
  folder = await mkdtemp(join(tmpdir(), 'taskapi-migrations-'))
})

afterEach(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

interface Run {
  url?: string
  from?: string
  timeoutMs?: number
  mode?: 'auto' | 'check'
  onWaiting?: (error: unknown) => void
  signal?: AbortSignal
}

/** The names of what was applied. */
async function run({ from = folder, url = database.url, ...rest }: Run = {}): Promise<string[]> {
  const applied: string[] = []
  const onApplied = (name: string) => applied.push(name)
  await migrate({ address: readAddress(url), folder: from, timeoutMs: 20_000, onApplied, ...rest })
  return applied
}

function write(file: string, text: string): Promise<void> {
  return writeFile(join(folder, file), text)
}

async function recorded(): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    'select name from schema_migrations order by 1',
  )
  return rows.map(({ name }) => name)
}

/** Records a migration as earlier versions of the service did. */
async function record(name: string, checksum: string): Promise<void> {
  await database.query(`
    create table if not exists schema_migrations (
      name text primary key,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`)
  await database.query(`insert into schema_migrations values ('${name}', '${checksum}')`)
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

async function somebodyWaits(): Promise<boolean> {
  const rows = await database.query(`
    select from pg_locks where locktype = 'advisory' and not granted
      and database = (select oid from pg_database where datname = current_database())`)
  return rows.length > 0
}

test('two nodes that start at once on an empty database apply each migration once', async () => {
  const services = await Promise.all([startService(database.url), startService(database.url)])
  const applied = services.flatMap(({ lines }) =>
    lines.filter(({ msg }) => msg === 'Migration applied').map(({ migration }) => migration),
  )
  expect(applied.length).toBeGreaterThan(0)
  expect(applied.sort()).toEqual(await recorded())
  for (const service of services) expect((await service.stop()).code).toBe(0)
})

test('many runs at once apply each file once, in order', async () => {
  await write('0001_a.sql', 'create table log (n int); insert into log values (1);')
  await write('0002_b.sql', 'insert into log values (2);')
  const applied = await Promise.all(Array.from({ length: 6 }, () => run()))
  expect(applied.flat().sort()).toEqual(['0001_a', '0002_b'])
  expect(await database.query('select n from log order by ctid')).toEqual([{ n: 1 }, { n: 2 }])
})

test('a database that an earlier version migrated gets only what is new', async () => {
  await database.query(await readFile(join(MIGRATIONS, '0001_users_and_tasks.sql'), 'utf8'))
  await record(
    '0001_users_and_tasks',
    'b163b3e85ed853da092a5a0ffb1a676fe5a242575a4a9264e6de9abcdc3f812e',
  )
  expect(await run({ from: MIGRATIONS })).toEqual([
    '0002_updated_at_increases',
    '0003_email_case_is_ascii',
    '0004_login_limits',
  ])
  expect(await run({ from: MIGRATIONS })).toEqual([])
})

test('a run waits for a node of an earlier version, and goes on from where that node ended', async () => {
  // What is read after the wait must be current, whatever isolation level is the database's default.
  await database.query(`
    do $$ begin execute format(
      'alter database %I set default_transaction_isolation = ''serializable''', current_database());
    end $$`)
  await write('0001_a.sql', 'create table a (n int);')
  await write('0002_b.sql', 'create table b (n int);')
  await database.query(`select ${LOCK}`)
  const running = run()
  await eventually('the run to wait', somebodyWaits)
  await database.query('create table a (n int)')
  await record('0001_a', hash('create table a (n int);'))
  await database.query(`select ${UNLOCK}`)
  expect(await running).toEqual(['0002_b'])
})

test('the lock belongs to the transaction, so that no session keeps it', async () => {
  await write(
    '0001_a.sql',
    `select pg_advisory_unlock_all();
    create table held as select objid from pg_locks
      where locktype = 'advisory' and granted and pid = pg_backend_pid()`,
  )
  await run()
  expect(await database.query('select from held')).toHaveLength(1)
})

test('a run that does not get the lock in time names the lock', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await database.query(`select ${LOCK}`)
  await expect(run({ timeoutMs: 100 })).rejects.toThrow('Cannot lock the migrations')
  await database.query(`select ${UNLOCK}`)
  expect(await run()).toEqual(['0001_a'])
})

test('a run whose connection is lost goes on when PostgreSQL answers again', async () => {
  await database.query('create sequence attempts')
  await write('0001_a.sql', 'create table a (n int);')
  await write(
    '0002_b.sql',
    `create table b (n int);
    select case when nextval('attempts') = 1 then pg_terminate_backend(pg_backend_pid()) end;
    insert into b values (1)`,
  )
  expect(await run()).toEqual(['0001_a', '0002_b'])
  expect(await database.query('table b')).toEqual([{ n: 1 }])
})

test('a file that PostgreSQL gives up in favour of requests is run again', async () => {
  await database.query('create sequence attempts')
  await write(
    '0001_a.sql',
    `create table a (n int);
    do $$ begin
      if nextval('attempts') = 1 then raise exception using errcode = 'deadlock_detected'; end if;
    end $$`,
  )
  expect(await run()).toEqual(['0001_a'])
})

test('no limit of the role is for files, be it one of time or one of writing', async () => {
  await database.query(`
    do $$ begin
      execute format('alter database %I set statement_timeout = 100', current_database());
      execute format('alter database %I set default_transaction_read_only = on', current_database());
    end $$`)
  await write('0001_a.sql', 'select pg_sleep(0.3); create table a (n int);')
  expect(await run()).toEqual(['0001_a'])
})

test('a check changes nothing, names what is pending, and ends when somebody has applied it', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await write('0002_b.sql', 'create table b (n int);')
  await expect(run({ mode: 'check', timeoutMs: 100 })).rejects.toThrow(
    'Migrations are pending: 0001_a, 0002_b',
  )
  expect(await database.query(`select to_regclass('schema_migrations') as t`)).toEqual([
    { t: null },
  ])
  const waits: unknown[] = []
  const checking = run({ mode: 'check', onWaiting: (error) => waits.push(error) })
  await eventually('the check to wait', () => waits.length > 0)
  await run()
  expect(await checking).toEqual([])
  expect(waits[0]).toMatchObject({ pending: ['0001_a', '0002_b'] })
  await write('0001_a.sql', 'create table a (n bigint);')
  await expect(run({ mode: 'check' })).rejects.toThrow('"0001_a.sql" was edited')
})

test('what the files are to a database is read without changing it', async () => {
  const read = () => readMigrations({ address: readAddress(database.url), folder })
  await write('0001_a.sql', 'create table a (n int);')
  expect(await read()).toEqual([{ name: '0001_a', state: 'pending' }])
  expect(await database.query(`select to_regclass('schema_migrations') as t`)).toEqual([
    { t: null },
  ])
  await write('0002_b.sql', 'create table b (n int);')
  await write('0003_c.sql', 'create table c (n int);')
  await run()
  await rm(join(folder, '0001_a.sql'))
  await write('0003_c.sql', 'create table c (n bigint);')
  await write('0004_d.sql', 'create table d (n int);')
  await record('0005_e', 'x')
  await database.query(`update schema_migrations set applied_at = '2026-02-03 04:05:06+01'`)
  const appliedAt = '2026-02-03T03:05:06Z'
  expect(await read()).toEqual([
    { name: '0001_a', state: 'missing', appliedAt },
    { name: '0002_b', state: 'applied', appliedAt },
    { name: '0003_c', state: 'edited', appliedAt },
    { name: '0004_d', state: 'pending' },
    { name: '0005_e', state: 'newer', appliedAt },
  ])
})

test('an aborted run ends at once and leaves nothing', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await database.query(`select ${LOCK}`)
  const abort = new AbortController()
  const reason = new Error('stopped')
  const running = run({ signal: abort.signal, timeoutMs: 600_000 })
  await eventually('the run to wait', somebodyWaits)
  abort.abort(reason)
  await expect(running).rejects.toBe(reason)
  await expect(run({ signal: abort.signal })).rejects.toBe(reason)
  await database.query(`select ${UNLOCK}`)
  expect(await run()).toEqual(['0001_a'])
})

test('a file that fails leaves nothing of itself, and is tried again', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await write('0002_b.sql', 'create table b (n int); select * from missing;')
  await expect(run()).rejects.toThrow(
    'Cannot apply "0002_b.sql": relation "missing" does not exist',
  )
  expect(await recorded()).toEqual(['0001_a'])
  expect(await database.query(`select to_regclass('b') as b`)).toEqual([{ b: null }])
  await write('0002_b.sql', 'create table b (n int);')
  expect(await run()).toEqual(['0002_b'])
})

test('a file that fails at its commit is named, and its error quotes no data', async () => {
  await write(
    '0001_a.sql',
    `create table a (n int unique deferrable initially deferred);
    insert into a values (123), (123)`,
  )
  const error = await run().catch((thrown: Error) => thrown)
  expect(String(error)).toMatch('Cannot apply "0001_a.sql": duplicate key')
  await write('0001_a.sql', `select 'private'::int`)
  expect(String(await run().catch((thrown: Error) => thrown))).not.toMatch('private')
  expect(await database.query(`select to_regclass('schema_migrations') as t`)).toEqual([
    { t: null },
  ])
})

test('a file that was edited after it had been applied is refused', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await run()
  await write('0001_a.sql', 'create table a (n bigint);')
  await write('0002_b.sql', 'create table b (n int);')
  await expect(run()).rejects.toThrow('"0001_a.sql" was edited')
  expect(await recorded()).toEqual(['0001_a'])
})

test('an applied file that is missing is refused', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await run()
  await rm(join(folder, '0001_a.sql'))
  await write('0002_b.sql', 'create table b (n int);')
  await expect(run()).rejects.toThrow('has "0001_a", but its file is missing')
  expect(await recorded()).toEqual(['0001_a'])
})

test('a later version may have applied more: the earlier one still starts beside it', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await write('0002_b.sql', 'create table b (n int);')
  await run()
  await rm(join(folder, '0002_b.sql'))
  expect(await run()).toEqual([])
  expect(await recorded()).toEqual(['0001_a', '0002_b'])
})

test.each([
  ['01_a.sql', '"01_a.sql" is not named like'],
  ['0001-a.sql', '"0001-a.sql" is not named like'],
  ["0001_o'clock.sql", 'is not named like'],
  ['0001_a.SQL', '"0001_a.SQL" is not named like'],
  ['0002_other.sql', '"0002_b.sql" and "0002_other.sql" have the same number'],
])('a file called %s among the others is refused', async (file, message) => {
  await write('0002_b.sql', 'create table b (n int);')
  await write(file, 'create table a (n int);')
  await expect(run()).rejects.toThrow(message)
})

test('files that are not SQL are left alone', async () => {
  await write('README.md', 'about')
  await write('0001_a.sql', 'create table a (n int);')
  expect(await run()).toEqual(['0001_a'])
})

test('line ends depend on the checkout, and change nothing', async () => {
  await write('0001_a.sql', "create table a as select '1\n2' as text;\n")
  await write('0002_b.sql', "create table b as select '1\r\n2' as text;\r\n")
  await database.query("create table a as select '1\n2' as text")
  await record('0001_a', hash("create table a as select '1\r\n2' as text;\r\n"))
  expect(await run()).toEqual(['0002_b'])
  await write('0001_a.sql', "create table a as select '1\r\n2' as text;\r\n")
  await write('0002_b.sql', "create table b as select '1\n2' as text;\n")
  expect(await run()).toEqual([])
  expect(await database.query('table b')).toEqual([{ text: '1\n2' }])
})

test('a role that may only read and write rows can start when nothing is pending', async () => {
  await write('0001_a.sql', 'create table a (n int);')
  await run()
  const role = `rows_only_${randomBytes(6).toString('hex')}`
  await database.query(`create role ${role} login password 'secret'`)
  await database.query(
    `grant select, insert, update, delete on all tables in schema public to ${role}`,
  )
  const url = new URL(database.url)
  url.searchParams.set('user', role)
  try {
    expect(await run({ url: url.href })).toEqual([])
    await write('0002_b.sql', 'create table b (n int);')
    await expect(run({ url: url.href })).rejects.toThrow(
      'Cannot apply "0002_b.sql": permission denied',
    )
    await database.query(`revoke select on schema_migrations from ${role}`)
    await expect(run({ url: url.href })).rejects.toThrow(
      /^Cannot read which migrations are applied: permission denied .* has to grant select on it$/,
    )
  } finally {
    await database.query(`drop owned by ${role}`)
    await database.query(`drop role ${role}`)
  }
})
