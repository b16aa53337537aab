// Runs in listeners. The pool of a listener, and what becomes of its events.
import type { Address } from '../../db/address.ts'
import { driverClient, wireClient } from '../../db/clients.ts'
import { statementsOf } from '../../db/operation.ts'
import { openPool, type Pool } from '../../db/pool.ts'
import { operations } from '../api/routes.ts'
import type { Config } from '../config/config.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { Logger } from '../observe/log.ts'
import { OutageLog } from './outage-log.ts'

const CONNECT_TIMEOUT_MS = 5000
const IDLE_PING_MS = 5000
const PING_TIMEOUT_MS = 1000

/** Opens the pool that the settings ask for; once it has every connection, the listener is ready. */
export function openDatabase(
  config: Config,
  address: Address,
  log: Logger,
  lifecycle: Lifecycle,
): Pool {
  const options = {
    statementTimeoutMs: config.DB_STATEMENT_TIMEOUT_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    applicationName: 'taskapi',
    statements: statementsOf(operations),
    pooler: config.DB_POOLER,
    onLimitsUnset: (repair: string) =>
      log.warn({ repair }, 'The role sets no limits for statements, and a pooler keeps none'),
  }
  const outages = new OutageLog(log)
  return openPool({
    connections: config.DB_CONNECTIONS,
    open:
      config.DB_CLIENT === 'wire' ? wireClient(address, options) : driverClient(address, options),
    idlePingMs: IDLE_PING_MS,
    pingTimeoutMs: PING_TIMEOUT_MS,
    onEvent: (event) => {
      if (event.type === 'ready') lifecycle.moveTo('ready')
      outages.write(event, performance.now())
    },
  })
}
