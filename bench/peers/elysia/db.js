// The connection pool of one worker.
import { SQL } from 'bun'

const SESSION = {
  TimeZone: 'UTC',
  statement_timeout: '5000',
  jit: 'off',
  plan_cache_mode: 'force_generic_plan',
}

/** Statements are prepared once for each connection, and pipelined. */
export function connect(databaseUrl, max) {
  const url = new URL(databaseUrl)
  // libpq puts a unix socket's folder, and what goes with it, into the query.
  const find = (name) => url.searchParams.get(name) ?? undefined
  const port = find('port') ?? (url.port || '5432')
  const host = find('host')
  return new SQL({
    adapter: 'postgres',
    ...(host?.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : {}),
    hostname: host ?? url.hostname,
    port: Number(port),
    username: find('user') ?? decodeURIComponent(url.username),
    password: find('password') ?? decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    max,
    idleTimeout: 0,
    connection: SESSION,
  })
}

/** `2026-11-22 07:19:06.123456+00` to `2026-11-22T07:19:06.123456Z`. Date would lose the microseconds. */
export function toRfc3339(text) {
  return `${text.slice(0, 10)}T${text.slice(11, -3)}Z`
}
