// Runs in listeners and in migrations. Owns the PostgreSQL connections of one process.
import postgres from 'postgres'
import { withTimeout } from '../deadline.ts'
import { DatabaseOverloadedError } from '../failures.ts'
import { formatInstant } from '../instant.ts'

type Sql = postgres.Sql<{ instant: string }>

/** What travels to PostgreSQL: validated text, finite numbers, null. Anything else could wedge the connection. */
export type Parameter = string | number | null

/** Constant SQL text with `parameters` placeholders, prepared once per connection. */
export interface Statement {
  readonly text: string
  readonly parameters: number
}

/** Declares a statement; the number of its parameters is read off the highest `$n`. */
export function statement(text: string): Statement {
  const numbers = [...text.matchAll(/\$(\d+)/g)].map((match) => Number(match[1]))
  // The driver hashes the text on every call, so it is kept short.
  return { text: text.trim().replaceAll(/\s+/g, ' '), parameters: Math.max(0, ...numbers) }
}

export interface DatabaseOptions {
  /** `postgres://…`; a unix socket as libpq writes it: `postgres:///name?host=/folder&user=name`. */
  url: string
  connections: number
  /** Statements that may be waiting or running; one more throws `DatabaseOverloadedError`. */
  queueMax: number
  statementTimeoutMs: number
  connectTimeoutMs: number
  applicationName: string
}

/** The pool of one process. */
export interface Database {
  /** Throws `DatabaseOverloadedError` when `others` calls that wait elsewhere leave no room for one more. */
  admit(others: number): void
  /** Runs a prepared statement. Rejects with the driver's error, untouched. */
  run<Row extends object>(of: Statement, parameters: Parameter[]): Promise<Row[]>
  /** Opens every connection and prepares `statements` on each. */
  warm(statements: readonly Statement[]): Promise<void>
  /** True when PostgreSQL answers within `timeoutMs`. Never rejects. */
  ping(timeoutMs: number): Promise<boolean>
  /** Lets running statements finish for `timeoutMs`, then cuts them off. */
  close(timeoutMs: number): Promise<void>
}

const PREPARED = { prepare: true, simple: false } as unknown as postgres.UnsafeQueryOptions
const PING = statement('select 1 as one')

/** One connection, and how many statements are on it. */
interface Line {
  sql: Sql
  waiting: number
}

/**
 * Makes the pool; connections open when they are first needed. Each is a driver of its own: the driver's queue of idle
 * connections never shrinks while one of several stays idle, and is searched from its start at every statement.
 */
export function connect(options: DatabaseOptions): Database {
  const lines = Array.from(
    { length: options.connections },
    (): Line => ({ sql: openLine(options), waiting: 0 }),
  )
  let waiting = 0

  function admit(others: number): void {
    if (waiting + others >= options.queueMax) {
      throw new DatabaseOverloadedError('Too many statements wait')
    }
  }

  async function run<Row extends object>(of: Statement, parameters: Parameter[]): Promise<Row[]> {
    admit(0)
    const line = leastBusy(lines)
    waiting += 1
    line.waiting += 1
    try {
      const rows = await line.sql.unsafe<Row[]>(of.text, parameters, PREPARED)
      // postgres.js #1181: after a statement that failed while streaming, the next result can have holes.
      if (rows.length > 0 && rows[0] === undefined)
        throw new Error('PostgreSQL result is incomplete')
      return rows
    } finally {
      waiting -= 1
      line.waiting -= 1
    }
  }

  async function warm(statements: readonly Statement[]): Promise<void> {
    await Promise.all(lines.map(({ sql }) => prepareAll(sql, statements)))
  }

  async function ping(timeoutMs: number): Promise<boolean> {
    const answered = run(PING, []).then(
      () => true,
      () => false,
    )
    return withTimeout(answered, timeoutMs, false)
  }

  async function close(timeoutMs: number): Promise<void> {
    await Promise.all(lines.map(({ sql }) => sql.end({ timeout: timeoutMs / 1000 })))
  }

  return { admit, run, warm, ping, close }
}

function leastBusy(lines: readonly Line[]): Line {
  const first = lines[0]
  if (!first) throw new Error('There is no connection')
  return lines.reduce((least, line) => (line.waiting < least.waiting ? line : least), first)
}

function openLine(options: DatabaseOptions): Sql {
  return openClient(options.url, {
    max: 1,
    connectTimeoutMs: options.connectTimeoutMs,
    parameters: {
      application_name: options.applicationName,
      statement_timeout: options.statementTimeoutMs,
      // Shorter, so that a locked row is told apart from a slow statement.
      lock_timeout: Math.ceil(options.statementTimeoutMs / 2),
      // One plan per statement, whatever its parameters: none gains by another, and planning takes longer than most.
      plan_cache_mode: 'force_generic_plan',
      jit: 'off',
    },
  })
}

export interface ClientOptions {
  max: number
  connectTimeoutMs: number
  /** PostgreSQL run-time parameters, set when a connection starts. */
  parameters?: Record<string, string | number>
}

/** A bare driver client, for what is not the request path: migrations, the local server, tests. */
export function openClient(url: string, options: ClientOptions): Sql {
  const address = new URL(url)
  const host = address.searchParams.get('host')
  const user = address.searchParams.get('user')
  address.searchParams.delete('host')
  address.searchParams.delete('user')
  return postgres(address.href, {
    ...(host ? { host } : {}),
    ...(user ? { user } : {}),
    max: options.max,
    connect_timeout: Math.ceil(options.connectTimeoutMs / 1000),
    // A connection that is replaced for its age would have to prepare every statement again.
    max_lifetime: null,
    fetch_types: false,
    backoff: reconnectDelaySeconds,
    onnotice: () => undefined,
    types: {
      // The driver's own type turns times into Date, which has no microseconds.
      instant: { to: 1184, from: [1184], serialize: (text: string) => text, parse: formatInstant },
    },
    connection: { TimeZone: 'UTC', ...options.parameters },
  })
}

/** The driver's default grows to 20 s; a restarted PostgreSQL should be found within half a second. */
function reconnectDelaySeconds(retries: number): number {
  return Math.min(0.5, 0.02 * 2 ** Math.min(retries, 6)) * (0.5 + Math.random() / 2)
}

/** Describing parses a statement and keeps it under its name, without running it. */
async function prepareAll(sql: Sql, statements: readonly Statement[]): Promise<void> {
  for (const { text, parameters } of statements) {
    const nothing = Array.from({ length: parameters }, () => null)
    await sql.unsafe(text, nothing, PREPARED).describe()
  }
}
