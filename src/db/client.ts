// Runs in listeners and in migrations. Owns the PostgreSQL connections of one process.
import postgres from 'postgres'
import { formatInstant } from './instant.ts'

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

/** Thrown instead of letting one more statement wait. */
export class DatabaseOverloadedError extends Error {
  override readonly name = 'DatabaseOverloadedError'
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

/** Makes the pool; connections open when they are first needed. */
export function connect(options: DatabaseOptions): Database {
  const sql = openClient(options.url, {
    max: options.connections,
    connectTimeoutMs: options.connectTimeoutMs,
    parameters: {
      application_name: options.applicationName,
      statement_timeout: options.statementTimeoutMs,
      // Shorter, so that a locked row is told apart from a slow statement.
      lock_timeout: Math.ceil(options.statementTimeoutMs / 2),
    },
  })
  let waiting = 0

  function admit(others: number): void {
    if (waiting + others >= options.queueMax) {
      throw new DatabaseOverloadedError('Too many statements wait')
    }
  }

  async function run<Row extends object>(of: Statement, parameters: Parameter[]): Promise<Row[]> {
    admit(0)
    waiting += 1
    try {
      const rows = await sql.unsafe<Row[]>(of.text, parameters, PREPARED)
      // postgres.js #1181: after a statement that failed while streaming, the next result can have holes.
      if (rows.length > 0 && rows[0] === undefined)
        throw new Error('PostgreSQL result is incomplete')
      return rows
    } finally {
      waiting -= 1
    }
  }

  async function warm(statements: readonly Statement[]): Promise<void> {
    // With fetch_types off, reserving a connection that is not open yet never resolves: open them all first.
    await Promise.all(Array.from({ length: options.connections }, () => run(PING, [])))
    const reserved = await Promise.all(
      Array.from({ length: options.connections }, () => sql.reserve()),
    )
    try {
      await Promise.all(reserved.map((connection) => prepareAll(connection, statements)))
    } finally {
      for (const connection of reserved) connection.release()
    }
  }

  async function ping(timeoutMs: number): Promise<boolean> {
    const answered = run(PING, []).then(
      () => true,
      () => false,
    )
    return withTimeout(answered, timeoutMs, false)
  }

  return { admit, run, warm, ping, close: (timeoutMs) => sql.end({ timeout: timeoutMs / 1000 }) }
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

/** True when the failure says that PostgreSQL is away, not that the statement was wrong. */
export function isOutage(error: unknown): boolean {
  return OUTAGE_CODES.has(codeOf(error))
}

/** True when PostgreSQL itself refused the statement, which therefore changed nothing and may be tried in parts. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof postgres.PostgresError)) return false
  return error.code === LOCK_NOT_AVAILABLE || !isOutage(error)
}

/** True when PostgreSQL refused a row because of the constraint of this name. */
export function isSchemaViolation(error: unknown, constraint: string): boolean {
  return error instanceof postgres.PostgresError && error.constraint_name === constraint
}

/**
 * What a log line may hold of a driver error. `detail`, `where`, parameters and the text of data exceptions
 * (SQLSTATE class 22) can quote what a user sent, so they stay out.
 */
export function describeError(error: unknown): Record<string, unknown> | undefined {
  if (!(error instanceof postgres.PostgresError)) return undefined
  const { code, severity, constraint_name, table_name, column_name, routine, message } = error
  const text = code.startsWith('22') ? 'Data exception' : message
  return { message: text, code, severity, constraint_name, table_name, column_name, routine }
}

/** Settles as `task` does, or with `fallback` after `timeoutMs`. */
export async function withTimeout<T>(task: Promise<T>, timeoutMs: number, fallback: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, fallback)
  })
  try {
    return await Promise.race([task, expired])
  } finally {
    clearTimeout(timer)
  }
}

/** Somebody else holds the row; a batch is split over it, a single call is told to come back. */
const LOCK_NOT_AVAILABLE = '55P03'

/** Driver codes of a lost or refused connection, and SQLSTATEs of a server that is away or going away. */
const OUTAGE_CODES = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
  '25006',
  '53300',
  LOCK_NOT_AVAILABLE,
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
])

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : ''
}

/** The driver's default grows to 20 s; a restarted PostgreSQL should be found within half a second. */
function reconnectDelaySeconds(retries: number): number {
  return Math.min(0.5, 0.02 * 2 ** Math.min(retries, 6)) * (0.5 + Math.random() / 2)
}

async function prepareAll(
  connection: postgres.ReservedSql,
  statements: readonly Statement[],
): Promise<void> {
  for (const { text, parameters } of statements) {
    // Describing parses the statement and keeps it under its name, without running it.
    await connection
      .unsafe(
        text,
        Array.from({ length: parameters }, () => null),
        PREPARED,
      )
      .describe()
  }
}
