// Runs in every process that talks to PostgreSQL. How a client of the driver (postgres) is set up.
import postgres from 'postgres'
import { formatInstant } from '../instant.ts'

export type Sql = postgres.Sql<{ instant: string }>

export interface ClientOptions {
  max: number
  connectTimeoutMs: number
  /** PostgreSQL run-time parameters, set when a connection starts. */
  parameters?: Record<string, string | number>
  /** Called whenever a connection has ended. */
  onClosed?: () => void
}

/**
 * Makes a client; connections open when they are first needed. Outside the request path it is used as it is: by
 * migrations, the local server, and tests.
 *
 * @param url `postgres://…`; a unix socket as libpq writes it: `postgres:///name?host=/folder&user=name`
 */
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
    ...(options.onClosed ? { onclose: options.onClosed } : {}),
    types: {
      // The driver's own type turns times into Date, which has no microseconds.
      instant: { to: 1184, from: [1184], serialize: (text: string) => text, parse: formatInstant },
    },
    connection: { TimeZone: 'UTC', ...options.parameters },
  })
}

/** The driver's default grows to 20 s; a restarted PostgreSQL should be found within half a second. */
function reconnectDelaySeconds(retries: number): number {
  return Math.min(0.5, 0.02 * 2 ** Math.min(retries, 6)) * (0.5 + Math.random() / 2)
}
