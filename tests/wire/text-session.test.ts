import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openTextSession, type TextSession } from '../../src/db/wire/text-session.ts'
import { maintenanceUrl } from '../support/database.ts'
import { codeOf } from './conversations.ts'
import { READY, tagged } from './scripted-server.ts'

const CONNECT_TIMEOUT_MS = 5000

function open(url: string, connectTimeoutMs = CONNECT_TIMEOUT_MS): Promise<TextSession> {
  return openTextSession(readAddress(url), { connectTimeoutMs })
}

describe('a session for texts', () => {
  let session: TextSession

  beforeEach(async () => {
    session = await open(maintenanceUrl())
  })

  afterEach(() => session.end())

  async function status(): Promise<string | null | undefined> {
    const [row] = await session.query('select pg_current_xact_id_if_assigned() is not null')
    return row?.[0]
  }

  test('keeps a transaction over several messages, up to its end', async () => {
    await session.query('begin; create temporary table things (n int)')
    await session.query('insert into things values (1), (2)')
    expect(await status()).toBe('t')
    expect(await session.query('table things; rollback')).toEqual([['1'], ['2']])
    expect(await codeOf(session.query('table things'))).toBe('42P01')
  })

  test('skips what is behind an error, and answers nothing until its transaction ends', async () => {
    const text = 'begin; select 1; select 1 / 0; create temporary table skipped (n int)'
    expect(await codeOf(session.query(text))).toBe('22012')
    expect(await codeOf(session.query('select 1'))).toBe('25P02')
    await session.query('rollback')
    expect(await session.query(`select to_regclass('skipped')`)).toEqual([[null]])
  })

  test('takes notices for no answers', async () => {
    const text = `do $$ begin raise notice 'one'; raise warning 'two'; end $$; select 3`
    expect(await session.query(text)).toEqual([['3']])
  })

  test('fails what it was asked when it is lost, and everything after that', async () => {
    const text = 'select 1; select pg_terminate_backend(pg_backend_pid()); select 2'
    expect(await codeOf(session.query(text))).toBe('CONNECTION_CLOSED')
    expect(await codeOf(session.query('select 1'))).toBe('CONNECTION_CLOSED')
  })
})

test('a pooler that is ready, but has no server to give, is given up', async () => {
  const start = Buffer.concat([tagged('R', Buffer.alloc(4)), READY])
  const pooler = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.write(start))
  })
  pooler.listen(0, '127.0.0.1')
  await once(pooler, 'listening')
  const address = pooler.address()
  const port = typeof address === 'object' ? address?.port : 0
  const url = `postgres://u@127.0.0.1:${port}/d?sslmode=disable`
  expect(await codeOf(open(url, 200))).toBe('CONNECT_TIMEOUT')
  // Resolves only when no socket is left open.
  await new Promise((resolve) => pooler.close(resolve))
})
