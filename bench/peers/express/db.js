// The connection pool of one worker.
import pg from 'pg'

// Date would lose the microseconds that PostgreSQL keeps.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, toRfc3339)

export function createPool(connectionString, max) {
  const pool = new pg.Pool({
    connectionString,
    max,
    // A connection keeps its prepared statements, so idle ones stay open.
    idleTimeoutMillis: 0,
    options: '-c TimeZone=UTC',
  })
  pool.on('error', (error) => console.error(error))
  return pool
}

/** `2026-11-22 07:19:06.123456+00` to `2026-11-22T07:19:06.123456Z`. */
function toRfc3339(text) {
  return `${text.slice(0, 10)}T${text.slice(11, -3)}Z`
}
