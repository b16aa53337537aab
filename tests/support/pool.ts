// A pool for tests that have no HTTP, over the client that DB_CLIENT names.
import { readAddress } from '../../src/db/address.ts'
import { driverClient, wireClient } from '../../src/db/clients.ts'
import { statementsOf } from '../../src/db/operation.ts'
import { openPool, type Pool } from '../../src/db/pool.ts'
import type { PoolEvent } from '../../src/db/slot.ts'
import { operations } from '../../src/server/api/routes.ts'

export interface TestPoolOptions {
  connections?: number
  statementTimeoutMs?: number
  idlePingMs?: number
  onEvent?: (event: PoolEvent) => void
  client?: string
  pooler?: 'none' | 'transaction'
  onLimitsUnset?: (repair: string) => void
}

export function openTestPool(url: string, options: TestPoolOptions = {}): Pool {
  const client = {
    statementTimeoutMs: options.statementTimeoutMs ?? 5000,
    connectTimeoutMs: 5000,
    applicationName: 'taskapi test',
    statements: statementsOf(operations),
    pooler: options.pooler ?? 'none',
    onLimitsUnset: options.onLimitsUnset ?? (() => undefined),
  }
  const address = readAddress(url)
  const name = options.client ?? process.env.DB_CLIENT ?? 'wire'
  return openPool({
    connections: options.connections ?? 2,
    open: name === 'wire' ? wireClient(address, client) : driverClient(address, client),
    idlePingMs: options.idlePingMs ?? 5000,
    pingTimeoutMs: 1000,
    onEvent: options.onEvent ?? (() => undefined),
  })
}

/** Whether every connection answers and can write. */
export function isUsable(pool: Pool): Promise<boolean> {
  return pool.check(1000).then(
    () => true,
    () => false,
  )
}
