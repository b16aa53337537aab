// The command `migrate status`, as scripts use it.
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { MAIN } from '../support/service.ts'

const SECRET = 'secretword'

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase()
})

afterEach(() => database.drop())

interface Result {
  code: number
  stdout: string
  stderr: string
}

function status(url: string, ...options: string[]): Promise<Result> {
  // Without JWT_SECRET: it signs nothing.
  const env = { PATH: process.env.PATH, DATABASE_URL: url }
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, 'migrate', 'status', ...options],
      { env, cwd: tmpdir() },
      (error, stdout, stderr) => {
        resolve({ code: Number(error?.code ?? 0), stdout, stderr })
      },
    )
  })
}

test('a current database is 0, with a table of what is applied and when', async () => {
  await database.query(`update schema_migrations set applied_at = '2026-02-03 04:05:06Z'`)
  const { code, stdout, stderr } = await status(database.url)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const [head, first] = stdout.split('\n')
  expect(head).toMatch(/^migration +state +applied$/)
  expect(first).toMatch(/^0001_users_and_tasks +applied +2026-02-03T04:05:06Z$/)
})

test('a pending or an edited migration is 1, with every state as JSON', async () => {
  await database.query(`delete from schema_migrations where name = '0004_login_limits'`)
  await database.query(`update schema_migrations set checksum = 'x' where name like '0001%'`)
  const { code, stdout, stderr } = await status(database.url, '--json')
  expect(code).toBe(1)
  expect(stderr).toBe(
    'Migrations are not up to date: 0001_users_and_tasks is edited, 0004_login_limits is pending\n',
  )
  const migrations: { name: string; state: string; appliedAt?: string }[] = JSON.parse(stdout)
  expect(migrations.map(({ state }) => state)).toEqual(['edited', 'applied', 'applied', 'pending'])
  expect(migrations[3]).not.toHaveProperty('appliedAt')
  expect(await database.query(`select from schema_migrations`)).toHaveLength(3)
})

test('a database that cannot be asked is 1, without a table and without its password', async () => {
  const { code, stdout, stderr } = await status(`postgres://u:${SECRET}@127.0.0.1:1/d`)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toBe('Cannot connect to 127.0.0.1 port 1: ECONNREFUSED\n')
})
