// In Turkish, the lower case of I is a letter outside of ASCII.
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { migrate } from '../../src/db/migrate.ts'
import { createClient } from '../support/client.ts'
import { createDatabase, MIGRATIONS, type TestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'

const TURKISH = `template template0 encoding 'UTF8' locale 'C' locale_provider icu icu_locale 'tr'`
const EARLIER = ['0001_users_and_tasks.sql', '0002_updated_at_increases.sql']
const PASSWORD = 'correct horse'

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase({ like: TURKISH })
  expect(await database.query(`select lower('I') as text`)).toEqual([{ text: 'ı' }])
})

afterEach(() => database.drop())

function migrateFrom(folder: string): Promise<void> {
  return migrate({
    address: readAddress(database.url),
    folder,
    timeoutMs: 10_000,
    onApplied: () => undefined,
  })
}

/** Brings the schema to where the version before left it. */
async function migrateEarlier(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-earlier-'))
  for (const name of EARLIER) await symlink(join(MIGRATIONS, name), join(folder, name))
  await migrateFrom(folder)
  await rm(folder, { recursive: true })
}

async function insert(email: string): Promise<void> {
  await database.query(
    `insert into users (id, email, password_hash) values (gen_random_uuid(), '${email}', 'x')`,
  )
}

test.each(['wire', 'postgres'])(
  'an account is found by its address in lower case, through %s',
  async (DB_CLIENT) => {
    const service = await startService(database.url, { DB_CLIENT })
    const client = createClient(service.url)
    const post = (path: string, email: string) =>
      client.post(`/api/v1/auth/${path}`, { email, password: PASSWORD })
    expect((await post('register', 'INFO@EXAMPLE.COM')).status).toBe(201)
    expect((await post('register', 'info@example.com')).status).toBe(409)
    expect((await post('login', 'info@example.com')).status).toBe(200)
    expect((await post('login', 'Info@Example.Com')).status).toBe(200)
    expect((await post('login', 'ınfo@example.com')).status).toBe(401)
    expect((await service.stop()).code).toBe(0)
  },
)

test('accounts from before are kept, and the version before goes on beside', async () => {
  await migrateEarlier()
  await insert('INFO@example.com')
  await insert('ada@example.com')
  await migrateFrom(MIGRATIONS)
  expect(await database.query('select email from users order by 1')).toHaveLength(2)
  // As that version adds accounts and finds them.
  await database.query(`
    insert into users (id, email, password_hash) values (gen_random_uuid(), 'info@example.com', 'x')
    on conflict do nothing`)
  expect(await database.query('select from users')).toHaveLength(2)
  const found = `select email from users where lower(email) = lower('ADA@example.com')`
  expect(await database.query(found)).toEqual([{ email: 'ada@example.com' }])
})

test('two accounts that differ in case alone are left as they are, and the migration is refused', async () => {
  await migrateEarlier()
  await insert('INFO@example.com')
  await insert('info@example.com')
  await expect(migrateFrom(MIGRATIONS)).rejects.toThrow('Cannot apply "0003_email_case_is_ascii')
  expect(await database.query('select from users')).toHaveLength(2)
  const indexes = `select from pg_indexes where indexname = 'users_email_key'`
  expect(await database.query(indexes)).toHaveLength(1)
})
