import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { migrate } from '../../src/db/migrate.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startService } from '../support/service.ts'

let database: TestDatabase
let folder: string

beforeEach(async () => {
  database = await createDatabase({ empty: true })
  folder = await mkdtemp(join(tmpdir(), 'taskapi-migrations-'))
})

afterEach(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

async function run(): Promise<string[]> {
  const applied: string[] = []
  const onApplied = (name: string) => applied.push(name)
  await migrate({ url: database.url, folder, timeoutMs: 20_000, onApplied })
  return applied
}

async function recorded(): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    'select name from schema_migrations order by 1',
  )
  return rows.map(({ name }) => name)
}

test('two nodes that start at once on an empty database apply each migration once', async () => {
  const services = await Promise.all([startService(database.url), startService(database.url)])
  const applied = services.flatMap(({ lines }) =>
    lines.filter(({ msg }) => msg === 'Migration applied').map(({ migration }) => migration),
  )
  expect(applied.length).toBeGreaterThan(0)
  expect(applied.sort()).toEqual(await recorded())
  for (const service of services) expect((await service.stop()).code).toBe(0)
})

test('many runs at once apply each file once, in order', async () => {
  await writeFile(
    join(folder, '0001_a.sql'),
    'create table log (n int); insert into log values (1);',
  )
  await writeFile(join(folder, '0002_b.sql'), 'insert into log values (2);')
  const applied = await Promise.all(Array.from({ length: 6 }, () => run()))
  expect(applied.flat()).toEqual(['0001_a', '0002_b'])
  expect(await database.query('select n from log order by ctid')).toEqual([{ n: 1 }, { n: 2 }])
})

test('a file that fails leaves nothing of itself, and is tried again', async () => {
  await writeFile(join(folder, '0001_a.sql'), 'create table a (n int);')
  await writeFile(join(folder, '0002_b.sql'), 'create table b (n int); select 1/0;')
  await expect(run()).rejects.toThrow('0002_b')
  expect(await recorded()).toEqual(['0001_a'])
  expect(await database.query(`select to_regclass('b') as b`)).toEqual([{ b: null }])
  await writeFile(join(folder, '0002_b.sql'), 'create table b (n int);')
  expect(await run()).toEqual(['0002_b'])
})

test('a file that was edited after it had been applied is refused', async () => {
  await writeFile(join(folder, '0001_a.sql'), 'create table a (n int);')
  await run()
  await writeFile(join(folder, '0001_a.sql'), 'create table a (n bigint);')
  await expect(run()).rejects.toThrow('"0001_a.sql" was edited')
})
