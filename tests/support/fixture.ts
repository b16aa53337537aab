// What most test files need: their own database, and a service on it.
import { afterAll, beforeAll } from 'vitest'
import { type Client, createClient } from './client.ts'
import { createDatabase, type TestDatabase } from './database.ts'
import { startService, type TestService } from './service.ts'

export interface Fixture {
  database: TestDatabase
  service: TestService
  client: Client
}

/** Starts both before the tests of the file and ends both after; the fields are filled by then. */
export function useService(env: Record<string, string> = {}): Fixture {
  const fixture = {} as Fixture
  beforeAll(async () => {
    fixture.database = await createDatabase()
    fixture.service = await startService(fixture.database.url, env)
    fixture.client = createClient(fixture.service.url)
  })
  afterAll(async () => {
    await fixture.service?.stop()
    await fixture.database?.drop()
  })
  return fixture
}
