// Runs where the local PostgreSQL is started. What is asked of the server, as its superuser, over its socket.
import { readAddress } from '../address.ts'
import { classify } from '../failures.ts'
import { openTextSession, type TextSession } from '../wire/text-session.ts'
import type { PidFile } from './postmaster.ts'
import { isFolderOf } from './private-files.ts'

export const SUPERUSER = 'postgres'
/** What needs no quotes. */
const DATABASE_NAME = /^[a-z_][a-z0-9_]*$/

/** Makes the database when it is missing; returns the server's version. */
export async function ensureDatabase(pidFile: PidFile, database: string): Promise<string> {
  if (!DATABASE_NAME.test(database)) throw new Error(`Cannot use "${database}" as a database name`)
  return withSuperuser(pidFile.socketFolder, async (session) => {
    const found = await session.query(`select from pg_database where datname = '${database}'`)
    if (found.length === 0) await session.query(`create database ${database}`)
    const [row] = await session.query('show server_version')
    return row?.[0] ?? 'unknown'
  })
}

/**
 * True when the server behind the socket is the one that wrote this pid file. The folder of the socket must be its
 * user's: once the temporary folder has been cleared, anyone can make one of the same name and answer there.
 */
export async function answersAs(pidFile: PidFile, uid: number): Promise<boolean> {
  if (!(await isFolderOf(pidFile.socketFolder, uid))) return false
  try {
    return await withSuperuser(pidFile.socketFolder, async (session) => {
      const [row] = await session.query(`select pg_read_file('postmaster.pid')`)
      return Number.parseInt(row?.[0] ?? '', 10) === pidFile.pid
    })
  } catch (error) {
    if (classify(error) === 'unreachable') return false
    throw error
  }
}

async function withSuperuser<T>(
  socketFolder: string,
  use: (session: TextSession) => Promise<T>,
): Promise<T> {
  // A copy of another server may be a standby, and is up all the same.
  const address = {
    ...readAddress(socketUrl(socketFolder, 'postgres')),
    targetSession: 'any',
  } as const
  const session = await openTextSession(address, { connectTimeoutMs: 2000 })
  try {
    return await use(session)
  } finally {
    session.end()
  }
}

export function socketUrl(folder: string, database: string): string {
  const query = new URLSearchParams({ host: folder, user: SUPERUSER })
  return `postgres:///${database}?${query.toString()}`
}
