// Runs in listeners, with DB_CLIENT=postgres. How a client of the driver (postgres) is set up.
import type { Socket } from 'node:net'
import postgres from 'postgres'
import type { Address } from '../address.ts'
import { invalid } from '../address-parameters.ts'
import { formatInstant } from '../instant.ts'
import { openSocket } from './socket.ts'

export type Sql = postgres.Sql<{ instant: string }>

export interface ClientOptions {
  max: number
  /** For an address that does not say it itself. */
  connectTimeoutMs: number
  /** PostgreSQL run-time parameters, set when a connection starts. */
  parameters?: Record<string, string | number>
  /** Called whenever a connection has ended. */
  onClosed?: () => void
}

/**
 * Makes a client; connections open when they are first needed. Outside the request path only tests and benchmarks use it,
 * as it is. Nothing of the address is taken from PG* variables.
 */
export function openClient(address: Address, options: ClientOptions): Sql {
  if (address.channelBinding === 'require') {
    throw invalid('the postgres package knows no channel_binding: use prefer')
  }
  const ended = new AbortController()
  const connectTimeoutMs = address.connectTimeoutMs ?? options.connectTimeoutMs
  const sql = postgres({
    ...driverAddress(address, () =>
      openSocket(address, { connectTimeoutMs, signal: ended.signal }),
    ),
    max: options.max,
    connect_timeout: Math.ceil(connectTimeoutMs / 1000),
    // A connection that is replaced for its age would have to prepare every statement again.
    max_lifetime: null,
    fetch_types: false,
    backoff: reconnectDelaySeconds,
    onnotice: () => undefined,
    ...(options.onClosed ? { onclose: options.onClosed } : {}),
    types: {
      // The driver's own type turns times into Date, which has no microseconds.
      instant: { to: 1184, from: [1184], serialize: (text: string) => text, parse: formatInstant },
    },
    connection: { ...startParameters(address), TimeZone: 'UTC', ...options.parameters },
  })
  const end = sql.end.bind(sql)
  // The driver forgets a socket that is still being opened.
  sql.end = (how) => end(how).finally(() => ended.abort())
  return sql
}

/** The socket comes ready, with TLS or without; the host is for the driver's errors. */
function driverAddress(address: Address, socket: () => Promise<Socket>) {
  const [host] = address.hosts
  return {
    socket,
    ssl: false as const,
    host: host?.name ?? '',
    port: host?.port ?? 0,
    user: address.user,
    password: () => address.password?.() ?? '',
    database: address.database,
  }
}

function startParameters({ applicationName, options }: Address): Record<string, string> {
  return {
    ...(applicationName ? { application_name: applicationName } : {}),
    ...(options ? { options } : {}),
  }
}

/** The driver's default grows to 20 s; a restarted PostgreSQL should be found within half a second. */
function reconnectDelaySeconds(retries: number): number {
  return Math.min(0.5, 0.02 * 2 ** Math.min(retries, 6)) * (0.5 + Math.random() / 2)
}
