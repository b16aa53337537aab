// Runs where the local PostgreSQL is started. What is asked of the server, as its superuser, over its socket.
import { readAddress } from '../address.ts'
import { openClient } from '../driver/client.ts'
import { classify } from '../failures.ts'
import type { PidFile } from './postmaster.ts'
import { isFolderOf } from './private-files.ts'

export const SUPERUSER = 'postgres'

/** Makes the database when it is missing; returns the server's version. */
export async function ensureDatabase(pidFile: PidFile, database: string): Promise<string> {
  return withSuperuser(pidFile.socketFolder, async (sql) => {
    const found = await sql`select from pg_database where datname = ${database}`
    if (found.length === 0) await sql`create database ${sql(database)}`
    const [row] = await sql<{ server_version: string }[]>`show server_version`
    return row?.server_version ?? 'unknown'
  })
}

/**
 * True when the server behind the socket is the one that wrote this pid file. The folder of the socket must be its
 * user's: once the temporary folder has been cleared, anyone can make one of the same name and answer there.
 */
export async function answersAs(pidFile: PidFile, uid: number): Promise<boolean> {
  if (!(await isFolderOf(pidFile.socketFolder, uid))) return false
  try {
    return await withSuperuser(pidFile.socketFolder, async (sql) => {
      const [row] = await sql<{ text: string }[]>`select pg_read_file('postmaster.pid') as text`
      return Number.parseInt(row?.text ?? '', 10) === pidFile.pid
    })
  } catch (error) {
    if (classify(error) === 'unreachable') return false
    throw error
  }
}

async function withSuperuser<T>(
  socketFolder: string,
  use: (sql: ReturnType<typeof openClient>) => Promise<T>,
): Promise<T> {
  const sql = openClient(readAddress(socketUrl(socketFolder, 'postgres')), {
    max: 1,
    connectTimeoutMs: 2000,
  })
  try {
    return await use(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

export function socketUrl(folder: string, database: string): string {
  const query = new URLSearchParams({ host: folder, user: SUPERUSER })
  return `postgres:///${database}?${query.toString()}`
}
