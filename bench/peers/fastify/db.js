// The connection pool of one worker.
import postgres from 'postgres'

const TIMESTAMPTZ = 1184

/** The driver does not read `host` and `user` from a URL's query, where libpq puts those of a unix socket. */
const QUERY_SETTINGS = ['host', 'port', 'user', 'password']

export function connect(databaseUrl, max) {
  const url = new URL(databaseUrl)
  const settings = {}
  for (const name of QUERY_SETTINGS) {
    if (url.searchParams.has(name)) settings[name] = url.searchParams.get(name)
    url.searchParams.delete(name)
  }
  return postgres(url.href, {
    ...settings,
    max,
    types: {
      // Date would lose the microseconds that PostgreSQL keeps.
      instant: {
        to: TIMESTAMPTZ,
        from: [TIMESTAMPTZ],
        serialize: (text) => text,
        parse: toRfc3339,
      },
    },
    connection: { TimeZone: 'UTC' },
  })
}

/** `2026-11-22 07:19:06.123456+00` to `2026-11-22T07:19:06.123456Z`. */
function toRfc3339(text) {
  return `${text.slice(0, 10)}T${text.slice(11, -3)}Z`
}
