// What the database sees to by itself.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const USER = '01a2024a-fc86-7056-b801-9e780d49bebb'

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase()
  await database.query(
    `insert into users (id, email, password_hash) values ('${USER}', 'a@b.c', 'x')`,
  )
})

afterEach(async () => {
  await database.drop()
})

test('each change of a row has a later time, whichever transaction started first', async () => {
  await database.query(`
    insert into tasks (user_id, id, title, updated_at)
    values ('${USER}', '${USER}', 'x', '2001-01-01'), ('${USER}', gen_random_uuid(), 'y', '2999-01-01')`)
  const change = `
    update tasks set title = title || '!' where user_id = '${USER}'
    returning new.updated_at > old.updated_at as later`
  const everyLater = [{ later: true }, { later: true }]
  const early = openClient(readAddress(database.url), { max: 1, connectTimeoutMs: 5000 })
  await early.begin(async (transaction) => {
    await transaction`select now()`
    expect(await database.query(change)).toEqual(everyLater)
    expect([...(await transaction.unsafe(change))]).toEqual(everyLater)
    expect([...(await transaction.unsafe(change))]).toEqual(everyLater)
  })
  await early.end()
})

test('the database itself refuses what the service would', async () => {
  const insert = (columns: string, values: string) =>
    database.query(
      `insert into tasks (user_id, id, ${columns}) values ('${USER}', gen_random_uuid(), ${values})`,
    )
  await insert('title', "'fine'")
  await expect(insert('title', "''")).rejects.toThrow('tasks_title_length')
  await expect(insert('title', "repeat('x', 201)")).rejects.toThrow('tasks_title_length')
  await expect(insert('title, status', "'x', 'open'")).rejects.toThrow('task_status')
  const twin = `insert into users (id, email, password_hash) values (gen_random_uuid(), 'A@B.C', 'x')`
  await expect(database.query(twin)).rejects.toThrow('users_email_ascii_key')
})

test('the lists are read in index order', async () => {
  await database.query(`
    insert into tasks (user_id, id, title, status)
    select '${USER}', gen_random_uuid(), 'x', (enum_range(null::task_status))[1 + n % 4]
    from generate_series(1, 5000) n`)
  await database.query('analyze tasks')
  const plan = async (where: string) => {
    const rows = await database.query<{ 'QUERY PLAN': string }>(`
      explain select * from tasks where user_id = '${USER}' ${where}
      order by created_at desc, id desc limit 50`)
    return rows.map((row) => row['QUERY PLAN']).join('\n')
  }
  expect(await plan('')).toMatch(/Index Scan using tasks_newest_idx/)
  expect(await plan('')).not.toMatch(/Sort/)
  expect(await plan("and status = 'done'")).toMatch(/Index Scan using tasks_status_newest_idx/)
  expect(await plan("and status = 'done'")).not.toMatch(/Sort/)
})
