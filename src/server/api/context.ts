// Runs in listeners. The long-lived resources of one listener, built in one place and closed in reverse order.
import type { Operation } from '../../db/operation.ts'
import type { Pool } from '../../db/pool.ts'
import { Queue, type QueueLimits } from '../../db/queue.ts'
import {
  createPasswordPool,
  type PasswordPool,
  type PasswordPoolOptions,
} from '../../workers/passwords/pool.ts'
import { type Ready, type Route, routesFor } from '../http/route.ts'
import type { Logger, Loggers } from '../observe/log.ts'
import { Sampling } from '../observe/sampling.ts'
import { createLoginReports, type LoginReports } from './login-events.ts'
import { createLoginLimits, type LoginLimits } from './login-limits.ts'
import type { Readiness } from './readiness.ts'
import { createTaskReports, type ReportTask } from './task-events.ts'
import { createTokens, type TokenOptions, type Tokens } from './tokens.ts'

const CLOSE_TIMEOUT_MS = 1000

/** What handlers may use. */
export interface Context {
  readonly log: Logger
  readonly readiness: Readiness
  readonly database: Pool
  readonly queue: Queue
  readonly passwords: PasswordPool
  readonly tokens: Tokens
  readonly limits: LoginLimits
  /** Logs what happens to logins. */
  readonly report: LoginReports['report']
  /** How often each of that has happened. */
  readonly loginCounts: LoginReports['counts']
  /** Logs what happens to tasks, where that is asked for. */
  readonly reportTask: ReportTask
  /** Lines of the log that would repeat. */
  readonly events: Sampling
  /** The OpenAPI document of the routes. */
  readonly document: () => Promise<Ready<unknown>>
}

export interface ContextOptions {
  queue: QueueLimits
  passwords: Omit<PasswordPoolOptions, 'onError'>
  tokens: TokenOptions
  loginLimits: boolean
  /** Whether changes of tasks are logged. */
  taskEvents: boolean
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
  parts: Pick<Context, 'readiness' | 'document' | 'database'> & { log: Loggers },
): Context {
  const log = parts.log.api
  const queue = new Queue(parts.database, options.queue)
  const events = new Sampling()
  const { report, counts: loginCounts } = createLoginReports(log, events)
  return {
    ...parts,
    log,
    queue,
    passwords: createPasswordPool({
      ...options.passwords,
      onError: (err) => parts.log.workers.error({ err }, 'Password pool failed'),
    }),
    tokens: createTokens(options.tokens),
    limits: createLoginLimits({
      queue,
      secret: options.tokens.secret,
      enabled: options.loginLimits,
      onFailure: (reason) =>
        events.add('login_limits', (repeats) =>
          log.warn({ repeats, reason }, 'Login limits are kept by each listener alone'),
        ),
    }),
    report,
    loginCounts,
    reportTask: options.taskEvents ? createTaskReports(parts.log.events) : () => undefined,
    events,
  }
}

export async function closeContext({ passwords, database, events }: Context): Promise<void> {
  events.flush()
  await passwords.close()
  await database.close(CLOSE_TIMEOUT_MS)
}
