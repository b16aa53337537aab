import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { inTransaction } from '../../src/db/backup/session.ts'
import { eventually } from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const WRITING = { mode: 'read committed, read write', applicationName: 'taskapi test' } as const

let database: TestDatabase

beforeEach(async () => {
  database = await createDatabase({ empty: true })
  await database.query('create table parent (id int primary key)')
  await database.query('create table child (id int references parent, text text)')
})

afterEach(() => database.drop())

test('what follows a lost connection is not done outside of the transaction', async () => {
  const working = inTransaction(readAddress(database.url), WRITING, async (session) => {
    await session.query('insert into parent values (1)')
    const [own] = await session.query<{ pid: number }>('select pg_backend_pid() as pid')
    await database.query(`select pg_terminate_backend(${own?.pid})`)
    await eventually('the session to end', async () => {
      const sessions = await database.query(`select from pg_stat_activity where pid = ${own?.pid}`)
      return sessions.length === 0
    })
    await delay(200)
    await session.query('insert into parent values (2)')
  })
  await expect(working).rejects.toThrow('Connection lost')
  expect(await database.query('table parent')).toEqual([])
})

test.each([
  ['while the data come', 'one\ttwo\n', 'invalid input syntax'],
  ['at their end', '1\ttext\n', 'violates foreign key constraint "child_id_fkey"'],
])('a refusal %s is reported, and ends the transaction', async (_, text, message) => {
  const working = inTransaction(readAddress(database.url), WRITING, async (session) => {
    await session.query('insert into parent values (2)')
    const copy = await session.copyIn('copy child from stdin')
    await copy.write(text)
    await copy.end()
  })
  await expect(working).rejects.toThrow(message)
  expect(await database.query('table parent')).toEqual([])
})

test('the next statement is answered, however slowly the output of a copy was read', async () => {
  await database.query(
    `insert into child select null, repeat('x', 1000) from generate_series(1, 2000)`,
  )
  const rows = await inTransaction(readAddress(database.url), WRITING, async (session) => {
    let bytes = 0
    for await (const chunk of session.copyOut('copy child to stdout')) {
      bytes += chunk.length
      // So that more arrives than the stream wants.
      await delay(5)
    }
    expect(bytes).toBe(2000 * 1004)
    return session.query('select count(*)::int as count from child')
  })
  expect(rows).toEqual([{ count: 2000 }])
})
