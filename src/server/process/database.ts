// Runs in listeners. The pool of a listener, and what becomes of its events.
import type { Address } from '../../db/address.ts'
import { driverClient, wireClient } from '../../db/clients.ts'
import { isUnannounced } from '../../db/failures.ts'
import { statementsOf } from '../../db/operation.ts'
import { openPool, type Pool, type PoolOptions } from '../../db/pool.ts'
import type { Findings } from '../../workers/messages.ts'
import { explainFailure } from '../api/readiness.ts'
import { operations } from '../api/routes.ts'
import type { Config } from '../config/config.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import { shed } from '../http/problem.ts'
import type { Logger } from '../observe/log.ts'
import { OutageLog } from './outage-log.ts'

/** What is lost on the way of an attempt never comes, so that a network which heals is noticed only by the next one. */
const CONNECT_TIMEOUT_MS = 2000
const IDLE_PING_MS = 5000
const PING_TIMEOUT_MS = 1000

/** The pool of a listener. */
export interface Database extends Pool {
  /** Complete once it has started. */
  readonly findings: Findings
}

/**
 * The pool that the settings ask for. It opens at its start; once it has every connection, the listener is ready. Calls
 * that come before the start fail at once.
 */
export function openDatabase(
  config: Config,
  address: Address,
  log: Logger,
  lifecycle: Lifecycle,
): Database {
  const findings: Findings = {}
  const options = {
    statementTimeoutMs: config.DB_STATEMENT_TIMEOUT_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    applicationName: 'taskapi',
    statements: statementsOf(operations),
    pooler: config.DB_POOLER,
    onLimitsUnset: (repair: string) => {
      findings.limits = repair
    },
  }
  const outages = new OutageLog(log)
  const pool = openAtStart(lifecycle, {
    connections: config.DB_CONNECTIONS,
    open:
      config.DB_CLIENT === 'wire' ? wireClient(address, options) : driverClient(address, options),
    idlePingMs: IDLE_PING_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    onEvent: (event) => {
      if (event.type === 'ready') lifecycle.moveTo('ready')
      if (event.type === 'unreachable') {
        lifecycle.pending = explainFailure(event.error)
        if (isUnannounced(event.error)) findings.unfit = event.error.message
      }
      outages.write(event, performance.now())
    },
  })
  return { ...pool, findings }
}

/** Statements can only be prepared after the migrations, so until then there is no connection at all. */
function openAtStart(lifecycle: Lifecycle, options: PoolOptions): Pool {
  let pool: Pool | undefined
  let closed = false
  return {
    start: async () => {
      if (closed) return false
      pool ??= openPool(options)
      return pool.start()
    },
    run: async (statement, work) => {
      if (!pool) throw shed('unavailable', `${lifecycle.pending}, try again later`)
      return pool.run(statement, work)
    },
    check: async (timeoutMs) => {
      if (!pool) throw shed('unavailable', lifecycle.pending)
      return pool.check(timeoutMs)
    },
    stats: () => pool?.stats(),
    close: async (timeoutMs) => {
      closed = true
      await pool?.close(timeoutMs)
    },
  }
}
