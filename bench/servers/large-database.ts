// Grows a seeded database to millions of tasks. PostgreSQL makes the rows itself, and builds the indexes after them.
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import type { SeedUser } from '../load/scenario.ts'
import { insertTasks, insertUsers, seedUser, TASKS_PER_USER, USERS } from './database.ts'

/** Number of the one user with very many tasks. */
const BIG_USER = USERS + 1
/** How many task ids the load knows of each user: all of them would take gigabytes. */
const KNOWN_TASKS = 100

type Client = ReturnType<typeof openClient>

export interface LargeDatabase {
  users: SeedUser[]
  bigUser: SeedUser
}

/** Gives each user of a fresh clone `tasksPerUser` tasks in total, and adds one user with `bigUserTasks`. */
export async function growDatabase(
  url: string,
  tasksPerUser: number,
  bigUserTasks: number,
): Promise<LargeDatabase> {
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 5000 })
  try {
    // With the default, the write-ahead log would force a checkpoint for each gigabyte.
    await sql.unsafe("alter system set max_wal_size = '8GB'")
    await sql.unsafe('select pg_reload_conf()')
    await sql.unsafe("set maintenance_work_mem = '1GB'")
    const rebuild = await dropIndexes(sql)
    await sql.unsafe(insertTasks([1, USERS], [TASKS_PER_USER + 1, tasksPerUser]))
    await sql.unsafe(insertUsers(BIG_USER, BIG_USER))
    await sql.unsafe(insertTasks([BIG_USER, BIG_USER], [1, bigUserTasks]))
    for (const text of rebuild) await sql.unsafe(text)
    await sql.unsafe('vacuum analyze')
    await sql.unsafe('checkpoint')
    await warm(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
  const apart = tasksPerUser / KNOWN_TASKS
  const known = Array.from({ length: KNOWN_TASKS }, (_, index) => Math.ceil((index + 1) * apart))
  return {
    users: Array.from({ length: USERS }, (_, index) => seedUser(index + 1, known)),
    bigUser: seedUser(BIG_USER, []),
  }
}

/** Reads the table tasks and its indexes into PostgreSQL's memory, where they are once a service has run for a while. */
async function warm(sql: Client): Promise<void> {
  await sql.unsafe('create extension pg_prewarm')
  await sql.unsafe(`
    select pg_prewarm(oid) from pg_class
    where oid = 'tasks'::regclass or oid in (select indexrelid from pg_index where indrelid = 'tasks'::regclass)`)
}

/** Drops all constraints and indexes of tasks except its checks. Returns the statements that create them again. */
async function dropIndexes(sql: Client): Promise<string[]> {
  const constraints = await sql.unsafe<{ name: string; definition: string }[]>(`
    select conname as name, pg_get_constraintdef(oid) as definition from pg_constraint
    where conrelid = 'tasks'::regclass and contype in ('f', 'p', 'u')
    order by contype = 'f'`)
  const indexes = await sql.unsafe<{ name: string; definition: string }[]>(`
    select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
    where indrelid = 'tasks'::regclass
      and not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u'))`)
  for (const { name } of constraints.toReversed()) {
    await sql.unsafe(`alter table tasks drop constraint ${name}`)
  }
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`)
  return [
    ...constraints.map(
      ({ name, definition }) => `alter table tasks add constraint ${name} ${definition}`,
    ),
    ...indexes.map(({ definition }) => definition),
  ]
}
