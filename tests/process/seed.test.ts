import { afterEach, beforeEach, expect, test } from 'vitest'
import { createClient, eventually, register } from '../support/client.ts'
import { finish, runCommand, startCommand } from '../support/command.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'

const TIMEOUT_MS = 180_000

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase()
})

afterEach(() => database.drop())

function seed(...options: string[]) {
  return runCommand(database.url, ['seed', ...options])
}

async function count(table: string): Promise<number> {
  const [row] = await database.query<{ count: string }>(`select count(*) from ${table}`)
  return Number(row?.count)
}

test(
  'whoever was added can log in, and sees tasks; whoever was there is as before',
  async () => {
    const service = await startService(database.url)
    const client = createClient(service.url)
    const { id, token } = await register(client)
    await client.post('/api/v1/tasks', { title: 'My own' }, { token })
    const rowsBefore = await database.query(
      `select u::text, t::text from users u join tasks t on t.user_id = u.id where u.id = '${id}'`,
    )

    const { code, stdout, stderr } = await seed('--users', '20', '--tasks', '500')
    expect(code).toBe(0)
    expect(stderr).toMatch(
      /^Added 20 users, 500 tasks in \d+ s, beside others, which stay as they were\n$/,
    )
    const [, password, email] =
      /^The password of each of them: (\S+)\nThe one with most tasks: (\S+)\n$/.exec(
        stdout.toString(),
      ) ?? []
    const login = await client.post('/api/v1/auth/login', { email, password })
    expect(login.status).toBe(200)
    const tasks = await client.get('/api/v1/tasks?limit=100', { token: login.body.token })
    expect(tasks.body).toHaveLength(100)
    const [last] = await database.query<{ email: string }>('select email from users order by email')
    const other = await client.post('/api/v1/auth/login', { email: last?.email, password })
    expect(other.status).toBe(200)

    expect((await client.get('/api/v1/tasks', { token })).body).toHaveLength(1)
    expect([await count('users'), await count('tasks')]).toEqual([21, 501])
    expect(
      await database.query(
        `select u::text, t::text from users u join tasks t on t.user_id = u.id where u.id = '${id}'`,
      ),
    ).toEqual(rowsBefore)
    await service.stop()
  },
  TIMEOUT_MS,
)

test(
  'an empty database is migrated first',
  async () => {
    const empty = await createDatabase({ empty: true })
    try {
      const { code, stderr } = await runCommand(empty.url, ['seed', '--users', '3', '--tasks', '0'])
      expect(code).toBe(0)
      expect(stderr).toMatch(/^Added 3 users, 0 tasks in \d+ s\n$/)
    } finally {
      await empty.drop()
    }
  },
  TIMEOUT_MS,
)

test(
  'a seed that is there already is refused, and another is added',
  async () => {
    const of = (number: string) => seed('--users', '2', '--tasks', '10', '--seed', number)
    expect((await of('7')).code).toBe(0)
    const again = await seed('--users', '9', '--seed', '7')
    expect([again.code, again.stdout.toString(), again.stderr]).toEqual([
      1,
      '',
      'Cannot seed: The accounts of seed 7 are there already; fix: choose another --seed\n',
    ])
    expect(await count('users')).toBe(2)
    expect((await of('8')).code).toBe(0)
    expect([await count('users'), await count('tasks')]).toEqual([4, 20])
  },
  TIMEOUT_MS,
)

test(
  'one that is interrupted adds nothing',
  async () => {
    const child = startCommand(database.url, ['seed', '--tasks', '4000000'])
    const copies = () =>
      database.query(`select from pg_stat_progress_copy
        where datname = current_database() and relid = 'tasks'::regclass and tuples_processed > 0`)
    await eventually('Tasks are written', async () => (await copies()).length > 0, TIMEOUT_MS)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await finish(child)
    expect([code, child.signalCode, stdout.toString(), stderr]).toEqual([null, 'SIGINT', '', ''])
    await eventually('Its session ends', async () => {
      const sessions = await database.query(`select from pg_stat_activity
        where datname = current_database() and application_name = 'taskapi seed'`)
      return sessions.length === 0
    })
    expect([await count('users'), await count('tasks')]).toEqual([0, 0])
  },
  TIMEOUT_MS,
)

test.each([
  [['--users', '0'], 'at least 1'],
  [['--users', 'many'], 'whole number'],
  [['--tasks', '-1'], 'whole number'],
  [['--seed', '4294967296'], 'up to 4294967295'],
])('seed %j is refused', async (options, reason) => {
  const { code, stderr } = await seed(...options)
  expect(code).toBe(1)
  expect(stderr).toContain(reason)
  expect(await count('users')).toBe(0)
})
