// Runs in listeners. What can be asked of the database: an operation is one SQL text with named, typed parameters.

/** What travels to PostgreSQL: validated text, finite numbers, null. Anything else could wedge a connection. */
export type Parameter = string | number | null

/** The values of one call, by the names of the parameters. */
export type Input = Readonly<Record<string, Parameter>>

/** PostgreSQL's types of parameters. */
export type SqlType = 'uuid' | 'text' | 'int' | 'timestamptz' | 'task_status' | 'priority'

/** A row of a statement that may answer several calls: `n` is the position of its call, counted from 1. */
export interface PositionedRow {
  n: string | number
}

/** Constant SQL text, prepared once per connection. */
export interface Statement {
  readonly text: string
  /** How many `$n` it has. */
  readonly parameters: number
}

/** What a constraint says when a statement violates it; `api/failures.ts` says it to clients. */
export type Violation = 'account_gone'

/** How rows are found: the index that must serve the statement, and the columns that it is asked for. */
export interface Lookup {
  readonly index: string
  readonly by: readonly string[]
}

interface Declaration<In extends Input, Row extends object, Result> {
  /** Names the operation in logs and tests. */
  name: string
  /** The parameters in their order, with their types. */
  parameters: { readonly [Name in keyof In]: SqlType }
  /** Absent when nothing is looked up. `tests/db/plans.test.ts` holds PostgreSQL to it. */
  lookup?: Lookup
  /** The constraints that a client can make it violate. */
  violations?: Readonly<Record<string, Violation>>
  /** Makes the result of one call from its rows, which are valid during the call only. */
  read: (rows: readonly Row[], input: In) => Result
}

/** An operation whose types have been erased, as the queue and the tests see it. */
export interface Operation<In extends Input = Input, Result = unknown> {
  readonly name: string
  readonly parameters: Readonly<Record<string, SqlType>>
  /** The names of the parameters, in their order. */
  readonly names: readonly string[]
  readonly lookup: Lookup | undefined
  readonly violations: Readonly<Record<string, Violation>>
  /** The statement for one call; its parameters are the values of the call. */
  readonly one: Statement
  /** The statement for many calls: its parameters are arrays. Absent when each call is a statement of its own. */
  readonly many: Statement | undefined
  /** The row that a call changes. Two changes of one row never share a batch, and rows are locked in one order. */
  readonly rowOf: ((input: In) => string) | undefined
  read(rows: readonly object[], input: In): Result
}

/** What the text of a batched operation can ask for. */
interface Batch {
  /** The names of all parameters, comma-separated. */
  names: string
  /** The position of the call whose parameter `name` is `expression`, for a statement that cannot return `input.n`. */
  positionOf: (name: string, expression: string) => string
}

/**
 * Declares an operation of which many calls can share a statement. Its text reads the calls from `input`, a table of
 * the parameters and `n`, and returns the `n` of the call with each row. For one call `input` is one row of values,
 * which PostgreSQL plans as if they stood in the text; for many it unnests arrays.
 */
export function batched<In extends Input, Row extends object, Result>(
  declaration: Declaration<In, Row & PositionedRow, Result> & {
    text: string | ((batch: Batch) => string)
    rowOf?: (input: In) => string
  },
): Operation<In, Result> {
  const { text, parameters, rowOf } = declaration
  const entries = Object.entries<SqlType>(parameters)
  const names = entries.map(([name]) => name).join(', ')
  const arrayOf = new Map(entries.map(([name, type], at) => [name, `$${at + 1}::${type}[]`]))
  const write = (input: string, positionOf: Batch['positionOf']) => {
    const body = typeof text === 'string' ? text : text({ names, positionOf })
    return `with input (${names}, n) as (${input}) ${body}`
  }
  const values = entries.map(([, type], at) => `$${at + 1}::${type}`).join(', ')
  const arrays = [...arrayOf.values()].join(', ')
  return {
    ...erase(declaration),
    one: statement(
      write(`values (${values}, 1)`, () => '1'),
      entries.length,
    ),
    many: statement(
      write(
        `select * from unnest(${arrays}) with ordinality`,
        (name, expression) => `array_position(${arrayOf.get(name)}, ${expression})`,
      ),
      entries.length,
    ),
    rowOf,
  }
}

/** Declares an operation whose calls are statements of their own. Its text gets each parameter by its name. */
export function single<In extends Input, Row extends object, Result>(
  declaration: Declaration<In, Row, Result> & {
    text: (parameters: { readonly [Name in keyof In]: string }) => string
  },
): Operation<In, Result> {
  const entries = Object.entries<SqlType>(declaration.parameters)
  const placeholders = entries.map(([name, type], at) => [name, `$${at + 1}::${type}`])
  const text = declaration.text(
    Object.fromEntries(placeholders) as { readonly [Name in keyof In]: string },
  )
  return {
    ...erase(declaration),
    one: statement(text, entries.length),
    many: undefined,
    rowOf: undefined,
  }
}

/** Every statement of `operations`, to be prepared before the first call. */
export function statementsOf(operations: readonly Operation<never>[]): Statement[] {
  return operations.flatMap(({ one, many }) => (many ? [one, many] : [one]))
}

function erase<In extends Input, Row extends object, Result>({
  name,
  parameters,
  lookup,
  violations = {},
  read,
}: Declaration<In, Row, Result>) {
  return {
    name,
    parameters,
    names: Object.keys(parameters),
    lookup,
    violations,
    read,
  }
}

/** The driver hashes the text on every call, so it is kept short. */
function statement(text: string, parameters: number): Statement {
  return { text: text.trim().replaceAll(/\s+/g, ' '), parameters }
}
