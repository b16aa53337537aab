// How PostgreSQL runs the service's statements when there is a lot in the tables.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Operation, type SqlType, statementsOf } from '../../src/db/operation.ts'
import { operations } from '../../src/server/api/routes.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const USERS = 2000
const TASKS_PER_USER = 500
const CLIENTS_PER_USER = 20
const FILL_TIMEOUT_MS = 120_000

const TIME = '2026-06-01T00:00:00Z'
/** A value of each type; a generic plan is the same for all values. */
const SAMPLES: Record<SqlType, string> = {
  uuid: uuid('01a2024a-0000-7000-8000', 1),
  text: 'title',
  int: '20',
  timestamptz: TIME,
  task_status: 'done',
  priority: 'low',
}

interface Case {
  operation: Operation<never>
  form: 'one' | 'many'
}

/** Every statement of the service: each operation in each of its forms. */
const CASES = operations.flatMap((operation): [string, Case][] => {
  const one: [string, Case] = [`${operation.name} for one call`, { operation, form: 'one' }]
  if (!operation.many) return [one]
  return [one, [`${operation.name} for many calls`, { operation, form: 'many' }]]
})

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Index Cond'?: string
  'Sort Key'?: string[]
  Filter?: string
  Plans?: PlanNode[]
}

let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
  await fill()
  // As the connections of the service have it.
  await database.query('set plan_cache_mode = force_generic_plan')
}, FILL_TIMEOUT_MS)

afterAll(() => database?.drop())

/** Tasks lie in the order of time, so that those of one account are all over the table. */
async function fill(): Promise<void> {
  // Slow otherwise: indexes are made at the end, and nobody checks each row for its account.
  await database.query('set session_replication_role = replica')
  const indexes = await database.query<{ name: string; definition: string }>(
    `select indexname as name, indexdef as definition from pg_indexes
     where tablename = 'tasks' and indexname <> 'tasks_pkey'`,
  )
  for (const { name } of indexes) await database.query(`drop index ${name}`)
  await database.query(`
    insert into users (id, email, password_hash, created_at)
    select ${uuidSql('01a2024a-0000-7000-8000', 'n')}, 'user' || n || '@example.com', 'x',
      timestamptz '2026-01-01Z' + n * interval '1 second'
    from generate_series(1, ${USERS}) n`)
  await database.query(`
    insert into tasks (user_id, id, title, status, created_at, updated_at)
    select ${uuidSql('01a2024a-0000-7000-8000', `1 + n % ${USERS}`)},
      ${uuidSql('01a2024b-0000-7000-8000', 'n')}, 'task ' || n,
      (enum_range(null::task_status))[1 + n % 7 % 4],
      timestamptz '2026-01-01Z' + n * interval '20 seconds', timestamptz '2026-01-01Z'
    from generate_series(0, ${USERS * TASKS_PER_USER - 1}) n`)
  for (const { definition } of indexes) await database.query(definition)
  await database.query(`
    insert into login_failures (key, failures, expires_at)
    select 'login:' || md5(n::text), 1, now() + n * interval '1 second'
    from generate_series(1, ${USERS * CLIENTS_PER_USER}) n`)
  await database.query(`
    insert into familiar_clients (user_id, client)
    select ${uuidSql('01a2024a-0000-7000-8000', `1 + n % ${USERS}`)}, 'client ' || n
    from generate_series(1, ${USERS * CLIENTS_PER_USER}) n`)
  await database.query('set session_replication_role = origin')
  await database.query('vacuum analyze users, tasks, login_failures, familiar_clients')
}

function uuid(prefix: string, number: number): string {
  return `${prefix}-${number.toString(16).padStart(12, '0')}`
}

function uuidSql(prefix: string, number: string): string {
  return `('${prefix}-' || lpad(to_hex(${number}), 12, '0'))::uuid`
}

/** Every node of the plan, the topmost first. */
async function explain({ operation, form }: Case): Promise<PlanNode[]> {
  await database.query(`prepare explained as ${operation[form]?.text}`)
  // The last parameter is the number of the call.
  const types: SqlType[] = [...Object.values(operation.parameters), 'int']
  const values = types.map((type) =>
    form === 'one' ? `'${SAMPLES[type]}'` : `'{${SAMPLES[type]},${SAMPLES[type]},null}'`,
  )
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `explain (format json) execute explained (${values.join(', ')})`,
  )
  await database.query('deallocate explained')
  if (!row) throw new Error(`PostgreSQL explains nothing about ${operation.name}`)
  return nodesOf(row['QUERY PLAN'][0].Plan)
}

function nodesOf(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)]
}

/** What reads a table or its index; a bitmap scan is two nodes, of which the lower one names the index. */
function tableScans(nodes: readonly PlanNode[]): PlanNode[] {
  return nodes.filter(
    (node) =>
      node['Node Type'].endsWith('Scan') &&
      (node['Relation Name'] !== undefined || node['Index Name'] !== undefined),
  )
}

/** Changes and deletes of rows that exist: two of them must not lock the same rows in different orders. */
function locksRows({ rowOf }: Operation<never>): boolean {
  return rowOf !== undefined
}

function typesOf(nodes: readonly PlanNode[]): string[] {
  return nodes.map((node) => node['Node Type'])
}

test('every statement has a case, and a parameter for each of its placeholders', () => {
  const statements = CASES.map(([, { operation, form }]) => operation[form])
  expect(statements).toEqual(statementsOf(operations))
  for (const statement of statementsOf(operations)) {
    const placeholders = new Set(statement.text.match(/\$\d+/g))
    expect(placeholders.size, statement.text).toBe(statement.parameters.length)
  }
})

describe('with a million tasks of two thousand accounts', () => {
  test('the tables are that large', async () => {
    const [row] = await database.query<{ users: string; tasks: string }>(
      'select (select count(*) from users) as users, (select count(*) from tasks) as tasks',
    )
    expect([Number(row?.users), Number(row?.tasks)]).toEqual([USERS, USERS * TASKS_PER_USER])
  })

  test.each(CASES)('%s reads no table from end to end', async (_, explained) => {
    const nodes = await explain(explained)
    const scans = tableScans(nodes)
    const { lookup } = explained.operation
    expect(typesOf(nodes)).not.toContain('Seq Scan')
    if (!lookup) {
      expect(scans).toEqual([])
      return
    }
    // A statement that locks its rows in order reads them twice.
    expect(scans).toHaveLength(locksRows(explained.operation) ? 2 : 1)
    for (const scan of scans) {
      expect(scan['Node Type']).toMatch(/^Index (Only )?Scan$/)
      expect(scan['Index Name']).toBe(lookup.index)
      for (const part of lookup.by) expect(scan['Index Cond']).toContain(part)
    }
  })

  test.each(CASES.filter(([name]) => name.startsWith('list_')))(
    '%s takes its rows from the index in order, and throws none away',
    async (_, explained) => {
      const nodes = await explain(explained)
      // The row with the number of the call, and beside it those of the page.
      expect(typesOf(nodes)).toEqual(['Nested Loop', 'Result', 'Limit', 'Index Scan'])
      expect(nodes.flatMap(({ Filter = [] }) => Filter)).toEqual([])
    },
  )

  test.each(CASES.filter(([, { operation }]) => locksRows(operation)))(
    '%s locks its rows in the order of their key before it touches them',
    async (_, explained) => {
      const nodes = await explain(explained)
      const [lock] = nodes.filter((node) => node['Node Type'] === 'LockRows')
      const [sort] = lock?.Plans ?? []
      expect(sort?.['Node Type']).toBe('Sort')
      expect(sort?.['Sort Key']?.map((key) => key.replace(/^.*\./, ''))).toEqual(['user_id', 'id'])
    },
  )
})
