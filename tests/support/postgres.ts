// Runs once around all tests: starts their own PostgreSQL, with a migrated template database.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { readAddress } from '../../src/db/address.ts'
import { startEmbedded } from '../../src/db/local/postgres.ts'
import { migrate } from '../../src/db/migrate.ts'
import { MIGRATIONS, TEMPLATE } from './database.ts'
import { openRunFolder } from './run-folder.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const removeRunFolder = await openRunFolder()
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-tests-'))
  const postgres = await startEmbedded({ folder, database: TEMPLATE, timeoutMs: 60_000 })
  await migrate({
    address: readAddress(postgres.url),
    folder: MIGRATIONS,
    timeoutMs: 30_000,
    onApplied: () => undefined,
  })
  project.provide('postgresUrl', postgres.url)
  return async () => {
    await postgres.stop()
    await removeRunFolder()
  }
}
