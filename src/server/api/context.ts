// Runs in listeners. The long-lived resources of one listener, built in one place and closed in reverse order.
import { openPool, type Pool, type PoolOptions } from '../../db/driver/pool.ts'
import { type Operation, statementsOf } from '../../db/operation.ts'
import { Queue, type QueueLimits } from '../../db/queue.ts'
import {
  createPasswordPool,
  type PasswordPool,
  type PasswordPoolOptions,
} from '../../workers/passwords/pool.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import { type Route, routesFor } from '../http/route.ts'
import type { Logger } from '../observe/log.ts'
import { createTokens, type TokenOptions, type Tokens } from './tokens.ts'

const CLOSE_TIMEOUT_MS = 1000

/** What handlers may use. */
export interface Context {
  readonly log: Logger
  readonly lifecycle: Lifecycle
  readonly database: Pool
  readonly queue: Queue
  readonly passwords: PasswordPool
  readonly tokens: Tokens
  /** The OpenAPI document of the routes. */
  readonly document: () => Promise<unknown>
}

export interface ContextOptions {
  database: PoolOptions
  queue: QueueLimits
  passwords: Omit<PasswordPoolOptions, 'onError'>
  tokens: TokenOptions
}

/** A part of the API: its routes, and the operations that they need. */
export interface Resource {
  routes: readonly Route<Context>[]
  operations: readonly Operation<never>[]
}

/** Declares a route of this service. */
export const defineRoute = routesFor<Context>()

export function createContext(
  options: ContextOptions,
  parts: Pick<Context, 'log' | 'lifecycle' | 'document'>,
): Context {
  const database = openPool(options.database)
  return {
    ...parts,
    database,
    queue: new Queue(database, options.queue),
    passwords: createPasswordPool({
      ...options.passwords,
      onError: (err) => parts.log.error({ err }, 'Password pool failed'),
    }),
    tokens: createTokens(options.tokens),
  }
}

/** Connects, and prepares every statement on every connection. Rejects while the database is unreachable. */
export function warmContext(
  { database }: Context,
  operations: readonly Operation<never>[],
): Promise<void> {
  return database.warm(statementsOf(operations))
}

export async function closeContext({ passwords, database }: Context): Promise<void> {
  await passwords.close()
  await database.close(CLOSE_TIMEOUT_MS)
}
