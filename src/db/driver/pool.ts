// Runs in listeners. Carries the statements of the request path over a few connections of the driver (postgres).
import { setTimeout as delay } from 'node:timers/promises'
import type postgres from 'postgres'
import type { Carrier } from '../batch.ts'
import type { Parameter, Statement } from '../operation.ts'
import { openClient, type Sql } from './client.ts'

export interface PoolOptions {
  /** As `openClient` takes it. */
  url: string
  connections: number
  statementTimeoutMs: number
  connectTimeoutMs: number
  applicationName: string
}

/** The connections of one listener. */
export interface Pool extends Carrier {
  /** Opens every connection and prepares `statements` on each. */
  warm(statements: readonly Statement[]): Promise<void>
  /** True when PostgreSQL answers within `timeoutMs`. Never rejects. */
  ping(timeoutMs: number): Promise<boolean>
  /** Lets running statements finish for `timeoutMs`, then cuts them off. */
  close(timeoutMs: number): Promise<void>
}

const PREPARED = { prepare: true, simple: false } as unknown as postgres.UnsafeQueryOptions
const PING: Statement = { text: 'select 1', parameters: 0 }

/** One connection, and how many statements are on it. */
interface Connection {
  sql: Sql
  inFlight: number
}

/**
 * Makes the pool; connections open when they are first needed. Each is a client of its own: the driver's queue of idle
 * connections never shrinks while one of several stays idle, and is searched from its start at every statement.
 */
export function openPool(options: PoolOptions): Pool {
  const connections = Array.from(
    { length: options.connections },
    (): Connection => ({ sql: openConnection(options), inFlight: 0 }),
  )

  async function run(
    { text }: Statement,
    parameters: Parameter[],
    take: (rows: readonly object[]) => void,
  ): Promise<void> {
    const connection = leastBusy(connections)
    connection.inFlight += 1
    try {
      const rows = await connection.sql.unsafe<object[]>(text, parameters, PREPARED)
      // postgres.js #1181: after a statement that failed while streaming, the next result can have holes.
      if (rows.length > 0 && rows[0] === undefined)
        throw new Error('PostgreSQL result is incomplete')
      take(rows)
      // The promises that the rows came through are old for the collector by now and keep what they hold until a major
      // collection, dead or not. Without the rows a list costs a sixth less CPU.
      rows.length = 0
    } finally {
      connection.inFlight -= 1
    }
  }

  async function warm(statements: readonly Statement[]): Promise<void> {
    await Promise.all(connections.map(({ sql }) => prepareAll(sql, statements)))
  }

  async function ping(timeoutMs: number): Promise<boolean> {
    const late = new AbortController()
    const answered = run(PING, [], () => undefined).then(
      () => true,
      () => false,
    )
    const timeout = delay(timeoutMs, false, { signal: late.signal }).catch(() => false)
    const answer = await Promise.race([answered, timeout])
    late.abort()
    return answer
  }

  async function close(timeoutMs: number): Promise<void> {
    await Promise.all(connections.map(({ sql }) => sql.end({ timeout: timeoutMs / 1000 })))
  }

  return { run, warm, ping, close }
}

function leastBusy(connections: readonly Connection[]): Connection {
  const first = connections[0]
  if (!first) throw new Error('There is no connection')
  return connections.reduce(
    (least, connection) => (connection.inFlight < least.inFlight ? connection : least),
    first,
  )
}

function openConnection(options: PoolOptions): Sql {
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

/** Describing parses a statement and keeps it under its name, without running it. */
async function prepareAll(sql: Sql, statements: readonly Statement[]): Promise<void> {
  for (const { text, parameters } of statements) {
    const nothing = Array.from({ length: parameters }, () => null)
    await sql.unsafe(text, nothing, PREPARED).describe()
  }
}
