// Runs in listeners. What can be asked of the database: an operation is one SQL text with named, typed parameters.
import { type Columns, type ColumnType, isNull, type Row, readRow, typeOf } from './row.ts'
import {
  ANY,
  INSTANT,
  INSTANT_TEXT,
  INT4,
  INT4_TEXT,
  TEXT,
  UUID,
  UUID_TEXT,
  type ValueType,
} from './wire/types.ts'

/** What travels to PostgreSQL: validated text, finite numbers, null. */
export type Parameter = string | number | null

/** The values of one call, by the names of the parameters. */
export type Input = Readonly<Record<string, Parameter>>

/** PostgreSQL's types of parameters. */
export type SqlType = 'uuid' | 'text' | 'int' | 'timestamptz' | 'task_status' | 'priority'

/** As text: binary parameters were measured to cost more here and the same in PostgreSQL. Enums have other numbers in each database. */
const PARAMETER_TYPES: Readonly<Record<SqlType, ValueType>> = {
  uuid: UUID_TEXT,
  text: TEXT,
  int: INT4_TEXT,
  timestamptz: INSTANT_TEXT,
  task_status: ANY,
  priority: ANY,
}
/** In binary where that is cheaper: PostgreSQL takes 13 us less for the times of twenty tasks. */
const COLUMN_TYPES: Readonly<Record<ColumnType, ValueType>> = {
  uuid: UUID,
  text: TEXT,
  int: INT4,
  timestamptz: INSTANT,
}

/** Which connections carry it: no read waits behind a commit. */
export type Purpose = 'read' | 'insert' | 'change'

/** Constant SQL text, prepared once per connection. Column 0 of its rows is the number of the call. */
export interface Statement {
  readonly name: string
  readonly text: string
  readonly purpose: Purpose
  readonly parameters: readonly ValueType[]
  readonly columns: readonly ValueType[]
}

/** What a constraint says when a statement violates it; `api/failures.ts` says it to clients. */
export type Violation = 'account_gone'

/** How rows are found: the index that must serve the statement, and the columns that it is asked for. */
export interface Lookup {
  readonly index: string
  readonly by: readonly string[]
}

/** Makes the result of one call from its rows, one after the other. */
export interface Reading<In extends Input, State, Result> {
  start: State
  /** The next state. The row is valid during the call only; column 0 is the number of the call. */
  row: (state: State, bytes: Buffer, fields: Int32Array, input: In) => State
  end: (state: State, input: In) => Result
}

interface Declaration<In extends Input, State, Result> {
  /** Names the operation in logs and tests, and its statements. */
  name: string
  purpose: Purpose
  /** The parameters in their order, with their types. */
  parameters: { readonly [Name in keyof In]: SqlType }
  /** The columns of its rows. Text and enums must be cast to text, so that a change of their type changes nothing. */
  columns: Columns
  /** Absent when nothing is looked up. `tests/db/plans.test.ts` holds PostgreSQL to it. */
  lookup?: Lookup
  /** The constraints that a client can make it violate. */
  violations?: Readonly<Record<string, Violation>>
  reading: Reading<In, State, Result>
}

/** An operation whose types have been erased, as the queue and the tests see it. */
export interface Operation<In extends Input = Input, Result = unknown> {
  readonly name: string
  readonly purpose: Purpose
  readonly parameters: Readonly<Record<string, SqlType>>
  readonly columns: Columns
  /** The names of the parameters, in their order. */
  readonly names: readonly string[]
  readonly lookup: Lookup | undefined
  readonly violations: Readonly<Record<string, Violation>>
  /** The statement for one call; its parameters are the values of the call and its number. */
  readonly one: Statement
  /** The statement for many calls: its parameters are arrays. Absent when each call is a statement of its own. */
  readonly many: Statement | undefined
  /** The row that a call changes. Two changes of one row never share a batch. */
  readonly rowOf: ((input: In) => string) | undefined
  readonly reading: { start: unknown; row: AnyRow; end(state: unknown, input: In): Result }
}

type AnyRow = (state: unknown, bytes: Buffer, fields: Int32Array, input: never) => unknown

/** What the text of a batched operation can ask for. */
interface Batch {
  /** The names of all parameters, comma-separated. */
  names: string
  /** The number of the call whose parameter `name` is `expression`, for a statement that cannot return `input.n`. */
  numberOf: (name: string, expression: string) => string
}

/**
 * Declares an operation of which many calls can share a statement. Its text reads the calls from `input`, a table of the
 * parameters and `n`, the number of the call, and returns at least one row for each call, with its `n` first: answers
 * prove by it whose they are. For one call `input` is one row of values, which PostgreSQL plans as if they stood in the
 * text; for many it unnests arrays.
 */
export function batched<In extends Input, State, Result>(
  declaration: Declaration<In, State, Result> & {
    text: string | ((batch: Batch) => string)
    rowOf?: (input: In) => string
  },
): Operation<In, Result> {
  const { text, parameters, rowOf } = declaration
  const entries = Object.entries<SqlType>(parameters)
  const names = entries.map(([name]) => name).join(', ')
  const number = `$${entries.length + 1}`
  const arrayOf = new Map(entries.map(([name, type], at) => [name, `$${at + 1}::${type}[]`]))
  const write = (input: string, numberOf: Batch['numberOf']) => {
    const body = typeof text === 'string' ? text : text({ names, numberOf })
    return `with input (${names}, n) as (${input}) ${body}`
  }
  const values = entries.map(([, type], at) => `$${at + 1}::${type}`).join(', ')
  const arrays = [...arrayOf.values()].join(', ')
  const one = write(`values (${values}, ${number}::int)`, () => `${number}::int`)
  const many = write(
    `select * from unnest(${arrays}, ${number}::int[])`,
    (name, expression) => `(${number}::int[])[array_position(${arrayOf.get(name)}, ${expression})]`,
  )
  const operation = erase(declaration)
  return {
    ...operation,
    one: statement(declaration, `${declaration.name}_one`, one, parameterTypes(parameters)),
    many: statement(
      declaration,
      `${declaration.name}_many`,
      many,
      [...entries, number].map(() => ANY),
    ),
    rowOf,
  }
}

/**
 * Declares an operation whose calls are statements of their own. Its text gets each parameter by its name, and returns
 * the columns. The number of the call is put before them, also when there is no row.
 */
export function single<In extends Input, State, Result>(
  declaration: Declaration<In, State, Result> & {
    text: (parameters: { readonly [Name in keyof In]: string }) => string
  },
): Operation<In, Result> {
  const entries = Object.entries<SqlType>(declaration.parameters)
  const placeholders = entries.map(([name, type], at) => [name, `$${at + 1}::${type}`])
  const answer = declaration.text(
    Object.fromEntries(placeholders) as { readonly [Name in keyof In]: string },
  )
  const text = `with answer as (${answer})
    select call.n, answer.* from (values ($${entries.length + 1}::int)) as call (n)
    left join answer on true`
  return {
    ...erase(declaration),
    one: statement(declaration, declaration.name, text, parameterTypes(declaration.parameters)),
    many: undefined,
    rowOf: undefined,
  }
}

/** Reads the row of a `single` as an object, or nothing where it only says that there is none. */
export function firstRow<Of extends Columns>(
  columns: Of,
): Reading<Input, Row<Of> | undefined, Row<Of> | undefined> {
  return {
    start: undefined,
    row: (_, bytes, fields) => (isNull(fields, 1) ? undefined : readRow(columns, bytes, fields)),
    end: (row) => row,
  }
}

/** Every statement of `operations`, to be prepared before the first call. */
export function statementsOf(operations: readonly Operation<never>[]): Statement[] {
  return operations.flatMap(({ one, many }) => (many ? [one, many] : [one]))
}

function erase<In extends Input, State, Result>({
  name,
  purpose,
  parameters,
  columns,
  lookup,
  violations = {},
  reading,
}: Declaration<In, State, Result>) {
  return {
    name,
    purpose,
    parameters,
    columns,
    names: Object.keys(parameters),
    lookup,
    violations,
    reading: reading as unknown as Operation<In, Result>['reading'],
  }
}

function parameterTypes(parameters: Readonly<Record<string, SqlType>>): ValueType[] {
  return [...Object.values(parameters), 'int' as const].map((type) => PARAMETER_TYPES[type])
}

function statement(
  { purpose, columns }: { purpose: Purpose; columns: Columns },
  name: string,
  text: string,
  parameters: readonly ValueType[],
): Statement {
  return {
    name,
    text: text.trim().replaceAll(/\s+/g, ' '),
    purpose,
    parameters,
    columns: [INT4, ...Object.values(columns).map((column) => COLUMN_TYPES[typeOf(column)])],
  }
}
