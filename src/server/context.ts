// Runs in listeners. The long-lived resources of one listener, built in one place and closed in reverse order.
import { connect, type Database } from '../db/client.ts'
import { TASK_STATEMENTS } from '../db/tasks.ts'
import { USER_STATEMENTS } from '../db/users.ts'
import { createPasswordPool, type PasswordPool } from '../workers/password-pool.ts'
import type { Config } from './config.ts'
import type { Logger } from './log.ts'
import { createTokens, type Tokens } from './tokens.ts'

const CLOSE_TIMEOUT_MS = 1000
const CONNECT_TIMEOUT_MS = 5000

/** What handlers may use. */
export interface Context {
  readonly config: Config
  readonly log: Logger
  readonly db: Database
  readonly passwords: PasswordPool
  readonly tokens: Tokens
  readonly readiness: Readiness
  /** The OpenAPI document of the routes. */
  readonly document: () => unknown
}

/** Whether the listener wants traffic; `/ready` asks. */
export interface Readiness {
  state: ListenerState
}

export type ListenerState = 'starting' | 'ready' | 'draining' | 'closed'

/** `config` must hold `DATABASE_URL` and `JWT_SECRET`: the start has filled them in. */
export function createContext(config: Config, log: Logger, document: () => unknown): Context {
  const { DATABASE_URL: url, JWT_SECRET: secret } = config
  if (!url || !secret) throw new Error('A listener needs DATABASE_URL and JWT_SECRET')
  return {
    config,
    log,
    db: connect({
      url,
      connections: config.DATABASE_CONNECTIONS,
      queueMax: config.DATABASE_QUEUE,
      statementTimeoutMs: config.STATEMENT_TIMEOUT_MS,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      applicationName: 'taskapi',
    }),
    passwords: createPasswordPool({
      threads: config.PASSWORD_THREADS,
      queueMax: config.PASSWORD_QUEUE,
      onError: (err) => log.error({ err }, 'Password pool failed'),
    }),
    tokens: createTokens({ secret, lifeHours: config.JWT_EXPIRATION_HOURS }),
    readiness: { state: 'starting' },
    document,
  }
}

/** Connects, and prepares every statement on every connection. Rejects while the database is away. */
export function warmContext(context: Context): Promise<void> {
  return context.db.warm([...USER_STATEMENTS, ...TASK_STATEMENTS])
}

export async function closeContext(context: Context): Promise<void> {
  await context.passwords.close()
  await context.db.close(CLOSE_TIMEOUT_MS)
}
