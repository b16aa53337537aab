// Every statement of the service, described by PostgreSQL, against what the code declares: parameters, and for each column
// its name, its type, and whether it can be null. The types that the compiler checks come from the same declarations.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient, type Sql } from '../../src/db/driver/client.ts'
import type { Operation, SqlType, Statement } from '../../src/db/operation.ts'
import { typeOf } from '../../src/db/row.ts'
import { PRIORITIES, TASK_STATUSES } from '../../src/db/tasks.ts'
import { operations } from '../../src/server/api/routes.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'

/** The types of the code, as PostgreSQL names them. */
const TYPE_NAMES: Readonly<Record<string, string>> = {
  int: 'integer',
  timestamptz: 'timestamp with time zone',
}

/** A column of a table: what the catalog says of it. */
interface Stored {
  name: string
  table: string
  type: string
  nullable: boolean
}

/**
 * Columns of an answer that are not columns of a table as they are, and from which one each is made: their values depend on
 * its type, and are null when it is.
 */
const MADE: Readonly<Record<string, Stored | 'of constants'>> = {
  // As text.
  status: { table: 'tasks', name: 'status', type: 'task_status', nullable: false },
  priority: { table: 'tasks', name: 'priority', type: 'priority', nullable: false },
  // A column of two tables that are joined by it.
  key: { table: 'login_failures', name: 'key', type: 'text', nullable: false },
  ms_left: {
    table: 'login_failures',
    name: 'expires_at',
    type: 'timestamp with time zone',
    nullable: false,
  },
  is_recent: {
    table: 'familiar_clients',
    name: 'last_login_at',
    type: 'timestamp with time zone',
    nullable: false,
  },
  only_reads: 'of constants',
}

let database: TestDatabase
let sql: Sql
let typeNames: ReadonlyMap<number, string>
/** By the number of their table and their own number in it. */
let stored: ReadonlyMap<string, Stored>

beforeAll(async () => {
  database = await createDatabase()
  sql = openClient(readAddress(database.url), { max: 1, connectTimeoutMs: 5000 })
  const types = await database.query<{ oid: number; name: string }>(
    'select oid, format_type(oid, null) as name from pg_type',
  )
  typeNames = new Map(types.map(({ oid, name }) => [oid, name]))
  const columns = await database.query<Stored & { key: string }>(`
    select attrelid || '.' || attnum as key, attname::text as name, attrelid::regclass::text as table,
      format_type(atttypid, null) as type, not attnotnull as nullable
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relkind = 'r' and relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped`)
  stored = new Map(columns.map(({ key, ...column }) => [key, column]))
})

afterAll(async () => {
  await sql.end()
  await database.drop()
})

type Described = Awaited<ReturnType<ReturnType<Sql['unsafe']>['describe']>>

/** Parse and Describe, with the types of parameters that the service sends. */
async function describeStatement({ text, parameters }: Statement): Promise<Described> {
  return sql
    .unsafe(
      text,
      parameters.map(({ oid }) => sql.typed('', oid)),
    )
    .describe()
}

function compareParameters(
  operation: Operation<never>,
  statement: Statement,
  { types }: Described,
): string[] {
  const isArray = statement === operation.many
  const declared = [...Object.entries(operation.parameters), ['n', 'int'] as const]
  if (types.length !== declared.length) return [`has ${types.length} parameters`]
  return declared.flatMap(([name, type], at) => {
    const actual = typeNames.get(types[at] ?? 0)
    const wanted = nameOf(type) + (isArray ? '[]' : '')
    if (actual !== wanted) return [`parameter "${name}" is ${actual}, declared ${wanted}`]
    return compareWithTables(name, type)
  })
}

/** A parameter has the name of the columns that it is written to or compared with, and so their type. */
function compareWithTables(name: string, type: SqlType): string[] {
  return [...stored.values()]
    .filter((column) => column.name === name && column.type !== nameOf(type))
    .map(
      (column) => `parameter "${name}" is ${nameOf(type)}, ${column.table}.${name} ${column.type}`,
    )
}

function compareColumns(operation: Operation<never>, statement: Statement, { columns }: Described) {
  const declared = [['n', 'int'] as const, ...Object.entries(operation.columns)]
  if (columns.length !== declared.length) return [`returns ${columns.length} columns`]
  return declared.flatMap(([name, column], at) => {
    const type = typeOf(column)
    const actual = columns[at]
    const actualType = typeNames.get(actual?.type ?? 0)
    if (actual?.name !== name) return [`column "${name}" is named "${actual?.name}"`]
    if (actualType !== nameOf(type)) return [`column "${name}" is ${actualType}, declared ${type}`]
    if (statement.columns[at]?.oid !== actual.type)
      return [`column "${name}" is read as another type`]
    if (at === 0) return []
    const source = stored.get(`${actual.table}.${actual.number}`) ?? MADE[name]
    return compareNull(name, column.endsWith('?'), source)
  })
}

function compareNull(
  name: string,
  isNullable: boolean,
  source: Stored | 'of constants' | undefined,
) {
  if (!source) return [`column "${name}" is not that of a table: say in MADE what it is made from`]
  const actual = source !== 'of constants' && source.nullable
  if (actual === isNullable) return []
  const words = (nullable: boolean) => (nullable ? 'can be null' : 'is never null')
  return [`column "${name}" ${words(actual)}, declared that it ${words(isNullable)}`]
}

function nameOf(type: string): string {
  return TYPE_NAMES[type] ?? type
}

const statements = operations.flatMap((operation) =>
  [operation.one, operation.many].flatMap((statement) =>
    statement ? [[statement.name, operation, statement] as const] : [],
  ),
)

test.each(statements)(
  '%s has the types that the code declares',
  async (name, operation, statement) => {
    const described = await describeStatement(statement)
    const problems = [
      ...compareParameters(operation, statement, described),
      ...compareColumns(operation, statement, described),
    ]
    expect(problems.map((problem) => `${name}: ${problem}`)).toEqual([])
  },
)

test('what other columns are made from is in the tables as the test says', () => {
  const columns = [...stored.values()]
  for (const [name, source] of Object.entries(MADE)) {
    if (source !== 'of constants') expect(columns, name).toContainEqual(source)
  }
})

test('enums have the values that the code declares, in their order', async () => {
  const rows = await database.query<{ type: string; values: string }>(`
    select typname::text as type, string_agg(enumlabel, ' ' order by enumsortorder) as values
    from pg_enum join pg_type on pg_type.oid = enumtypid group by 1 order by 1`)
  expect(rows).toEqual([
    { type: 'priority', values: PRIORITIES.join(' ') },
    { type: 'task_status', values: TASK_STATUSES.join(' ') },
  ])
})
