// How PostgreSQL runs the service's statements when there is a lot in the tables.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { arrayLiteral } from '../../src/db/batch.ts'
import type { Parameter } from '../../src/db/driver/client.ts'
import { TASK_STATEMENTS } from '../../src/db/tasks.ts'
import { USER_STATEMENTS } from '../../src/db/users.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

const STATEMENTS = { ...TASK_STATEMENTS, ...USER_STATEMENTS }
const USERS = 2000
const TASKS_PER_USER = 500
const FILL_TIMEOUT_MS = 120_000

const userIds = [1, 2, 3].map((number) => uuid('01a2024a-0000-7000-8000', number))
const taskIds = [1, 2, 3].map((number) => uuid('01a2024b-0000-7000-8000', number))
const [userId = '', taskId = ''] = [userIds[0], taskIds[0]]
const users = arrayLiteral(userIds)
const tasks = arrayLiteral(taskIds)
const nulls = arrayLiteral([null, null, null])
const TIME = '2026-06-01T00:00:00Z'

interface Case {
  values: Parameter[]
  /** The index of every scan of a table; absent when there is nothing to look up. */
  index?: string
  /** What the index is asked for; the rest of a `where` would be a filter over all that it finds. */
  condition?: readonly string[]
}

const KEY = { index: 'tasks_pkey', condition: ['user_id', 'id'] }
const PAGE = ['user_id', 'ROW(created_at, id)']

const CASES: Record<keyof typeof STATEMENTS, Case> = {
  FIND_TASK: { values: [userId, taskId], ...KEY },
  FIND_TASKS: { values: [users, tasks], ...KEY },
  LIST_TASKS: {
    values: [userId, TIME, taskId, 20, 0],
    index: 'tasks_newest_idx',
    condition: PAGE,
  },
  LIST_TASKS_BY_STATUS: {
    values: [userId, TIME, taskId, 20, 0, 'done'],
    index: 'tasks_status_newest_idx',
    condition: [...PAGE, 'status'],
  },
  INSERT_TASK: { values: [userId, taskId, 'title', null, 'low', null] },
  INSERT_TASKS: {
    values: [users, tasks, '{a,b,c}', nulls, '{low,medium,high}', nulls],
  },
  UPDATE_TASK: { values: [userId, taskId, 'title', null, null, null, null, null, null], ...KEY },
  UPDATE_TASKS: {
    values: [users, tasks, '{a,b,c}', nulls, nulls, nulls, nulls, nulls, nulls],
    ...KEY,
  },
  DELETE_TASK: { values: [userId, taskId], ...KEY },
  DELETE_TASKS: { values: [users, tasks], ...KEY },
  INSERT_USER: { values: [uuid('01a2024c-0000-7000-8000', 1), 'new@example.com', 'x'] },
  FIND_CREDENTIALS: {
    values: ['User7@Example.com'],
    index: 'users_email_key',
    condition: ['lower(email)'],
  },
  UPDATE_PASSWORD_HASH: { values: [userId, 'x', 'y'], index: 'users_pkey', condition: ['id'] },
}

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Index Cond'?: string
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
  await database.query('set session_replication_role = origin')
  await database.query('vacuum analyze users, tasks')
}

function uuid(prefix: string, number: number): string {
  return `${prefix}-${number.toString(16).padStart(12, '0')}`
}

function uuidSql(prefix: string, number: string): string {
  return `('${prefix}-' || lpad(to_hex(${number}), 12, '0'))::uuid`
}

/** Every node of the plan, the topmost first. */
async function explain(name: keyof typeof STATEMENTS): Promise<PlanNode[]> {
  await database.query(`prepare ${name} as ${STATEMENTS[name].text}`)
  const values = CASES[name].values.map((value) => (value === null ? 'null' : `'${value}'`))
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `explain (format json) execute ${name} (${values.join(', ')})`,
  )
  await database.query(`deallocate ${name}`)
  if (!row) throw new Error(`PostgreSQL explains nothing about ${name}`)
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

function typesOf(nodes: readonly PlanNode[]): string[] {
  return nodes.map((node) => node['Node Type'])
}

test('every statement has a case', () => {
  expect(Object.keys(CASES).sort()).toEqual(Object.keys(STATEMENTS).sort())
  for (const [name, { values }] of Object.entries(CASES)) {
    expect(values, name).toHaveLength(STATEMENTS[name as keyof typeof STATEMENTS].parameters)
  }
})

describe('with a million tasks of two thousand accounts', () => {
  test('the tables are that large', async () => {
    const [row] = await database.query<{ users: string; tasks: string }>(
      'select (select count(*) from users) as users, (select count(*) from tasks) as tasks',
    )
    expect([Number(row?.users), Number(row?.tasks)]).toEqual([USERS, USERS * TASKS_PER_USER])
  })

  test.each(Object.entries(CASES))('%s reads no table from end to end', async (name, expected) => {
    const nodes = await explain(name as keyof typeof STATEMENTS)
    const scans = tableScans(nodes)
    expect(typesOf(nodes)).not.toContain('Seq Scan')
    if (expected.index === undefined) {
      expect(scans).toEqual([])
      return
    }
    const [scan] = scans
    expect(typesOf(scans)).toEqual([expect.stringMatching(/^Index (Only )?Scan$/)])
    expect(scan?.['Index Name']).toBe(expected.index)
    for (const part of expected.condition ?? []) expect(scan?.['Index Cond']).toContain(part)
  })

  test.each(['LIST_TASKS', 'LIST_TASKS_BY_STATUS'] as const)(
    '%s takes its rows from the index in order, and throws none away',
    async (name) => {
      const nodes = await explain(name)
      expect(typesOf(nodes)).toEqual(['Limit', 'Index Scan'])
      expect(nodes.map((node) => node.Filter)).toEqual([undefined, undefined])
    },
  )
})
