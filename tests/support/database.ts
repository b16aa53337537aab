// Databases for tests, cloned from the migrated template.
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'

export const TEMPLATE = 'taskapi_template'
export const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url))

export interface TestDatabase {
  url: string
  /** Runs SQL that the service itself has no statement for. */
  query<Row extends object>(text: string, parameters?: (string | number)[]): Promise<Row[]>
  drop(): Promise<void>
}

/** A new database: migrated, or empty, then with what `create database` is to say about it. */
export async function createDatabase(
  options: { empty?: boolean; like?: string } = {},
): Promise<TestDatabase> {
  const server = new URL(inject('postgresUrl'))
  const name = `test_${randomBytes(6).toString('hex')}`
  const admin = connectTo(server, 'postgres')
  await admin.unsafe(
    `create database ${name} ${options.like ?? (options.empty ? '' : `template ${TEMPLATE}`)}`,
  )
  const sql = connectTo(server, name)
  return {
    url: at(server, name),
    query: async <Row extends object>(text: string, parameters: (string | number)[] = []) => [
      ...(await sql.unsafe<Row[]>(text, parameters)),
    ],
    drop: async () => {
      await sql.end({ timeout: 1 })
      await admin.unsafe(`drop database ${name} with (force)`)
      await admin.end({ timeout: 1 })
    },
  }
}

/** The server's own database: while another is copied from the template, nobody may be connected to that one. */
export function maintenanceUrl(): string {
  return at(new URL(inject('postgresUrl')), 'postgres')
}

function connectTo(server: URL, name: string) {
  return openClient(readAddress(at(server, name)), { max: 1, connectTimeoutMs: 5000 })
}

function at(server: URL, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
