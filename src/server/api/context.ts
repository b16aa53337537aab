// Runs in listeners. The long-lived resources of one listener, built in one place and closed in reverse order.
import { connect, type Database } from '../../db/driver/client.ts'
import { createTasks, TASK_STATEMENTS, type Tasks } from '../../db/tasks.ts'
import { USER_STATEMENTS } from '../../db/users.ts'
import { createPasswordPool, type PasswordPool } from '../../workers/passwords/pool.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../observe/log.ts'
import { createTokens, type Tokens } from './tokens.ts'

/** Beyond this a statement takes longer without costing less per row. */
const BATCH_CALLS_MAX = 128
const CLOSE_TIMEOUT_MS = 1000
const CONNECT_TIMEOUT_MS = 5000

/** What handlers may use. */
export interface Context {
  readonly log: Logger
  readonly db: Database
  readonly tasks: Tasks
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
  const { DATABASE_URL: database, JWT_SECRET: secret } = config
  if (!database || !secret) throw new Error('A listener needs DATABASE_URL and JWT_SECRET')
  const db = connect({
    url: database.url.reveal(),
    connections: config.DB_CONNECTIONS,
    queueMax: config.DB_QUEUE,
    statementTimeoutMs: config.DB_STATEMENT_TIMEOUT_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    applicationName: 'taskapi',
  })
  return {
    log,
    db,
    tasks: createTasks(db, {
      callsMax: config.DB_BATCHING ? BATCH_CALLS_MAX : 1,
      queueMax: config.DB_QUEUE,
      waitMsMax: config.REQUEST_TIMEOUT_MS,
    }),
    passwords: createPasswordPool({
      threads: config.PASSWORD_THREADS,
      queueMax: config.PASSWORD_QUEUE,
      onError: (err) => log.error({ err }, 'Password pool failed'),
    }),
    tokens: createTokens({ secret: secret.reveal(), lifeHours: config.JWT_EXPIRATION_HOURS }),
    readiness: { state: 'starting' },
    document,
  }
}

/** Connects, and prepares every statement on every connection. Rejects while the database is unreachable. */
export function warmContext(context: Context): Promise<void> {
  return context.db.warm(Object.values({ ...USER_STATEMENTS, ...TASK_STATEMENTS }))
}

export async function closeContext(context: Context): Promise<void> {
  await context.passwords.close()
  await context.db.close(CLOSE_TIMEOUT_MS)
}
