import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { BACKED_UP, LEFT_OUT } from '../../src/db/backup/tables.ts'
import { migrate } from '../../src/db/migrate.ts'
import { addRows, backUp, joinLines, rowsOf, seal } from '../support/backups.ts'
import { createClient, register } from '../support/client.ts'
import { finish, runCommand, startCommand } from '../support/command.ts'
import { createDatabase, MIGRATIONS, type TestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'

const TIMEOUT_MS = 180_000
const ID = '01a2024a-fc86-7056-b801-9e780d49bebb'

let source: TestDatabase
let target: TestDatabase
let folder: string

beforeEach(async () => {
  source = await createDatabase()
  target = await createDatabase({ empty: true })
  folder = await mkdtemp(join(tmpdir(), 'taskapi-backup-'))
})

afterEach(async () => {
  await source.drop()
  await target.drop()
  await rm(folder, { recursive: true })
})

async function alterDatabase(database: TestDatabase, ...settings: string[]): Promise<void> {
  const [row] = await database.query<{ name: string }>('select current_database() as name')
  for (const setting of settings) await database.query(`alter database ${row?.name} set ${setting}`)
}

test('every table of the service is backed up, or left out on purpose', async () => {
  const tables = await source.query<{ name: string }>(
    `select relname::text as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
  )
  const known = [...BACKED_UP.map(({ name }) => name), ...LEFT_OUT]
  expect(tables.map(({ name }) => name).sort()).toEqual(known.sort())
})

test(
  'every value comes back as it was, whatever the database is set to',
  async () => {
    await addRows(source, 5000, 5)
    await source.query(`
      insert into users values ('${ID}', 'ada@example.com', '$argon2id$v=19$', '2026-11-22 08:06:38.471449+00')`)
    const texts = [
      `"quotes" and 'apostrophes'`,
      String.raw`\N`,
      String.raw`\.`,
      String.raw`C:\new\table \\ \x41`,
      'line\nline\r\nline\ttab',
      'controls \u0001\u0002\u001f\u007f\u0085',
      'separators \u2028\u2029',
      'planes é 漢 😀 \u{10ffff} e\u0301',
      '{"table":"users"}',
      ' ',
    ]
    const times = [
      'infinity',
      '-infinity',
      '4714-11-24 00:00:00+00 BC',
      '0001-01-01 00:00:00+00',
      '9999-12-31 23:59:58.999999+00',
      '294276-12-31 23:59:59.999999+00',
    ]
    for (const [index, text] of texts.entries()) {
      await source.query(
        `insert into tasks (user_id, id, title, description, due_at, status, priority) values
          ('${ID}', gen_random_uuid(), $1, $1, $2, 'cancelled', 'critical'),
          ('${ID}', gen_random_uuid(), $1, '', null, 'todo', 'low'),
          ('${ID}', gen_random_uuid(), $1, null, null, 'done', 'high')`,
        [text, times[index % times.length] ?? ''],
      )
    }
    // More clients than an account keeps, some of them long forgotten: the service deletes them, a restore does not.
    await source.query(`alter table familiar_clients disable trigger user`)
    await source.query(`
      insert into familiar_clients select '${ID}', '192.0.2.' || n, now() - n * interval '5 days'
      from generate_series(1, 30) n`)
    for (const database of [source, target]) {
      await alterDatabase(database, "DateStyle to 'German'", "TimeZone to 'Asia/Kolkata'")
    }

    const before = await backUp(source)
    expect(before.length).toBeGreaterThan(30_000)
    const file = join(folder, 'backup')
    await writeFile(file, joinLines(before))
    const restored = await runCommand(target.url, ['restore', file])
    expect(restored).toMatchObject({
      code: 0,
      stderr: 'Restored 5,001 users, 25,030 tasks, 30 familiar_clients\n',
    })
    const after = await backUp(target)
    expect(rowsOf(after)).toEqual(rowsOf(before))
    const [first, second] = [before, after].map(([header]) => JSON.parse(header ?? ''))
    expect({ ...second, taken_at: '' }).toEqual({ ...first, taken_at: '' })
    expect(
      await target.query<{ title: string }>(
        `select distinct title collate "C" as title from tasks where user_id = '${ID}' order by 1`,
      ),
    ).toEqual([...texts].sort().map((title) => ({ title })))
    expect(
      await target.query(
        `select tgname from pg_trigger where not tgisinternal and tgenabled <> 'O'`,
      ),
    ).toEqual([])
    expect(
      await target.query(
        `select relname from pg_class where relname in ('users', 'tasks') and reltuples < 5000`,
      ),
    ).toEqual([])
  },
  TIMEOUT_MS,
)

test(
  'a service goes on with what was restored',
  async () => {
    const old = await startService(source.url)
    const account = await register(createClient(old.url))
    const json = { title: 'Write tests' }
    const { body: task } = await createClient(old.url).post('/api/v1/tasks', json, account)
    await old.stop()
    const { stdout } = await runCommand(source.url, ['backup'])
    expect((await runCommand(target.url, ['restore', '-'], { input: stdout })).code).toBe(0)

    const service = await startService(target.url)
    const client = createClient(service.url)
    expect((await client.get('/api/v1/tasks', account)).body).toEqual([task])
    expect(
      (
        await client.post('/api/v1/auth/login', {
          email: account.email,
          password: account.password,
        })
      ).status,
    ).toBe(200)
    const path = `/api/v1/tasks/${task.id}`
    expect(
      (await client.patch(path, { status: 'done' }, account)).body.updated_at > task.updated_at,
    ).toBe(true)
    expect((await service.stop()).code).toBe(0)
  },
  TIMEOUT_MS,
)

test(
  'a backup is of one moment, though writes go on',
  async () => {
    // More than fits into the pipe, so that the backup stands still in the middle of the accounts.
    await addRows(source, 20_000, 1)
    await alterDatabase(source, "statement_timeout to '3s'")
    const child = startCommand(source.url, ['backup'])
    await new Promise((resolve) => child.stdout.once('readable', resolve))
    await source.query(
      `insert into users (id, email, password_hash) values ('${ID}', 'late@example.com', 'h')`,
    )
    await source.query(`insert into tasks (user_id, id, title) values ('${ID}', '${ID}', 'late')`)
    await source.query(`update tasks set title = 'late'`)
    await expect(
      source.query(`
        set lock_timeout = '100ms';
        alter table tasks alter description type varchar(3000)`),
    ).rejects.toThrow('lock timeout')
    // A reader may be slower than the database allows its other statements to be.
    await delay(3500)
    const { code, stdout } = await finish(child)
    expect(code).toBe(0)
    const lines = stdout.toString().split('\n')
    expect(JSON.parse(lines.at(-2) ?? '').rows).toEqual({
      users: 20_000,
      tasks: 20_000,
      familiar_clients: 0,
    })
    expect(stdout.includes('late')).toBe(false)
  },
  TIMEOUT_MS,
)

test(
  'the output of a backup can be the input of a restore',
  async () => {
    await addRows(source, 1000, 10)
    const reader = startCommand(target.url, ['restore', '-'])
    const writer = startCommand(source.url, ['backup'])
    writer.stdout.pipe(reader.stdin)
    expect((await finish(reader)).stderr).toContain('10,000 tasks')
    expect(rowsOf(await backUp(target))).toEqual(rowsOf(await backUp(source)))
  },
  TIMEOUT_MS,
)

test(
  'a file is whole, private, and compressed when its name ends in .gz',
  async () => {
    await addRows(source, 100, 10)
    const [plain, compressed] = [join(folder, 'a.ndjson'), join(folder, 'a.ndjson.gz')]
    await writeFile(plain, 'an earlier backup', { mode: 0o644 })
    for (const output of [plain, compressed]) {
      expect((await runCommand(source.url, ['backup', '--output', output])).code).toBe(0)
      expect((await stat(output)).mode & 0o777).toBe(0o600)
    }
    expect(await readdir(folder)).toEqual(['a.ndjson', 'a.ndjson.gz'])
    const lines = (await readFile(plain, 'utf8')).split('\n')
    const unpacked = gunzipSync(await readFile(compressed))
      .toString()
      .split('\n')
    expect(rowsOf(unpacked.slice(0, -1))).toEqual(rowsOf(lines.slice(0, -1)))
    expect((await runCommand(target.url, ['restore', compressed])).code).toBe(0)
    expect(rowsOf(await backUp(target))).toEqual(rowsOf(lines.slice(0, -1)))
  },
  TIMEOUT_MS,
)

test(
  'what cannot be written to its end leaves no file, and the one before stays',
  async () => {
    await addRows(source, 5000, 1)
    const output = join(folder, 'backup')
    await writeFile(output, 'an earlier backup')
    const full = await runCommand(source.url, ['backup', '--output', output], {
      preparation: 'ulimit -f 64',
    })
    expect(full).toMatchObject({
      code: 1,
      stderr: 'Cannot back up: EFBIG: file too large, write\n',
    })
    expect(await readdir(folder)).toEqual(['backup'])
    expect(await readFile(output, 'utf8')).toBe('an earlier backup')

    const noSpace = await runCommand(source.url, ['backup'], { preparation: 'exec > /dev/full' })
    expect(noSpace).toMatchObject({
      code: 1,
      stderr: 'Cannot back up: ENOSPC: no space left on device, write\n',
    })

    const broken = startCommand(source.url, ['backup'])
    broken.stdout.once('data', () => broken.stdout.destroy())
    const [stderr] = await Promise.all([
      broken.stderr.toArray(),
      new Promise((resolve) => broken.once('exit', resolve)),
    ])
    expect([broken.exitCode, stderr.join('')]).toEqual([1, 'Cannot back up: write EPIPE\n'])
  },
  TIMEOUT_MS,
)

test(
  'only a file is replaced',
  async () => {
    await mkdir(join(folder, 'folder'))
    await symlink('/dev/null', join(folder, 'link'))
    for (const name of ['folder', 'link']) {
      const output = join(folder, name)
      const { code, stderr } = await runCommand(source.url, ['backup', '--output', output])
      expect([code, stderr]).toEqual([1, `Cannot back up: "${output}" is not a file\n`])
    }
  },
  TIMEOUT_MS,
)

test(
  'a folder that does not exist is named',
  async () => {
    const output = join(folder, 'no-such-folder', 'tasks.gz')
    const { code, stderr } = await runCommand(source.url, ['backup', '--output', output])
    expect(code).toBe(1)
    expect(stderr).toContain(`the folder "${join(folder, 'no-such-folder')}" does not exist`)
  },
  TIMEOUT_MS,
)

test(
  'a backup whose session ends on the way fails',
  async () => {
    await addRows(source, 20_000, 1)
    const child = startCommand(source.url, ['backup'])
    await new Promise((resolve) => child.stdout.once('readable', resolve))
    const ended = await source.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'taskapi backup' and datname = current_database()`,
    )
    expect(ended).toHaveLength(1)
    const { code, stderr } = await finish(child)
    expect([code, stderr]).toEqual([1, expect.stringContaining('Cannot back up: ')])
  },
  TIMEOUT_MS,
)

test(
  'rows that the role may not see are not left out without a word',
  async () => {
    await addRows(source, 2, 2)
    const role = `some_rows_${randomBytes(6).toString('hex')}`
    await source.query(`create role ${role} login`)
    try {
      await source.query(`grant select on all tables in schema public to ${role}`)
      const url = new URL(source.url)
      url.searchParams.set('user', role)
      expect((await runCommand(url.href, ['backup'])).code).toBe(0)
      await source.query('alter table tasks enable row level security')
      const { code, stderr } = await runCommand(url.href, ['backup'])
      expect(code).toBe(1)
      expect(stderr).toContain('affected by row-level security policy for table "tasks"')
    } finally {
      await source.query(`drop owned by ${role}`)
      await source.query(`drop role ${role}`)
    }
  },
  TIMEOUT_MS,
)

test(
  'a database that the service has never seen cannot be backed up',
  async () => {
    expect(await runCommand(target.url, ['backup'])).toMatchObject({
      code: 1,
      stderr: 'Cannot back up: The database has no tables of taskapi\n',
    })
  },
  TIMEOUT_MS,
)

test(
  'a backup of the first version comes back into this one',
  async () => {
    const first = '0001_users_and_tasks.sql'
    await writeFile(join(folder, first), await readFile(join(MIGRATIONS, first)))
    const old = await createDatabase({ empty: true })
    try {
      await migrate({
        address: readAddress(old.url),
        folder,
        timeoutMs: 20_000,
        onApplied: () => undefined,
      })
      await addRows(old, 100, 2)
      const lines = await backUp(old)
      const header = JSON.parse(lines[0] ?? '')
      expect(header.migrations).toHaveLength(1)
      expect(header.tables).toHaveLength(2)
      // As if the version before had had no priorities.
      header.tables[1].columns = header.tables[1].columns.filter(
        (name: string) => name !== 'priority',
      )
      const fewer = rowsOf(lines).map((line) => line.replace(',"priority":"medium"', ''))
      const input = seal([JSON.stringify(header), ...fewer])
      const { code, stderr } = await runCommand(target.url, ['restore', '-'], { input })
      expect([code, stderr]).toEqual([0, 'Restored 100 users, 200 tasks\n'])
      expect(rowsOf(await backUp(target))).toEqual(rowsOf(lines))
    } finally {
      await old.drop()
    }
  },
  TIMEOUT_MS,
)

test(
  'numbers that the database gives go on, and what it computes is computed again',
  async () => {
    await addRows(source, 3, 1)
    await runCommand(target.url, ['migrate'])
    for (const database of [source, target]) {
      await database.query(`
        alter table tasks add number bigint generated always as identity,
          add size int generated always as (char_length(title)) stored`)
    }
    await source.query(`update tasks set number = default`)
    await source.query(`alter table tasks add "odd ""name" int default 7`)
    await target.query(`alter table tasks add "odd ""name" int`)
    const { stdout } = await runCommand(source.url, ['backup'])
    expect((await runCommand(target.url, ['restore', '-'], { input: stdout })).code).toBe(0)
    const text = `select title, number::text, size, "odd ""name" from tasks order by number`
    expect(await target.query(text)).toEqual(await source.query(text))
    await target.query(
      `insert into tasks (user_id, id, title) select id, id, 'next' from users limit 1`,
    )
    expect(await target.query(`select number::text from tasks where title = 'next'`)).toEqual([
      { number: '7' },
    ])
  },
  TIMEOUT_MS,
)
