// Runs in every process. Which parameters DATABASE_URL may have: understood, without effect here, or refused by name.

export const NOT_ENCODED = 'user name and password must be percent-encoded'

const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_.]{0,62}$/

/** libpq's, that change nothing here. */
const WITHOUT_EFFECT = new Set([
  'fallback_application_name',
  'gssencmode',
  'gsslib',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'krbsrvname',
  'sslcompression',
  'sslsni',
  'tcp_user_timeout',
])

/** Of Prisma, SQLAlchemy, JDBC, Vercel, Supabase and node-postgres. */
const OF_OTHER_TOOLS = new Set([
  'connection_limit',
  'max_idle_connection_lifetime',
  'pgbouncer',
  'pool_mode',
  'pool_timeout',
  'poolsize',
  'pool_size',
  'prepareThreshold',
  'prepared_statements',
  'prepared_statement_cache_queries',
  'reWriteBatchedInserts',
  'serverVersion',
  'single_use_connections',
  'socket_timeout',
  'sslaccept',
  'statement_cache_size',
  'supa',
  'uselibpqcompat',
  'workaround',
])

const UNDERSTOOD = new Set([
  'application_name',
  'channel_binding',
  'client_encoding',
  'connect_timeout',
  'dbname',
  'host',
  'options',
  'password',
  'port',
  'schema',
  'ssl',
  'sslcert',
  'sslkey',
  'sslmode',
  'sslnegotiation',
  'sslrootcert',
  'target_session_attrs',
  'user',
])

/** Unknown names would otherwise be settings that go to the server, or wishes that are silently not met. Answers those ignored. */
export function checkParameters(
  parameters: ReadonlyMap<string, string>,
  suspicious: boolean,
): string[] {
  const ignored: string[] = []
  for (const [name] of parameters) {
    if (UNDERSTOOD.has(name)) continue
    if (!WITHOUT_EFFECT.has(name) && !OF_OTHER_TOOLS.has(name)) {
      throw invalid(unknownParameter(name, suspicious))
    }
    ignored.push(name)
  }
  if ((parameters.get('schema') ?? 'public') !== 'public') {
    throw invalid('schema has no effect here: use options=-csearch_path%3Dname')
  }
  const encoding = parameters.get('client_encoding') ?? 'UTF8'
  if (!/^(utf-?8|auto)$/i.test(encoding)) throw invalid('client_encoding can only be UTF8')
  if ((parameters.get('sslnegotiation') ?? 'postgres') !== 'postgres') {
    throw invalid('sslnegotiation can only be postgres')
  }
  if (parameters.get('gssencmode') === 'require') throw invalid('gssencmode cannot be require')
  return ignored
}

function unknownParameter(name: string, suspicious: boolean): string {
  if (suspicious || !PARAMETER_NAME.test(name)) {
    return `it has an unknown parameter; ${NOT_ENCODED}`
  }
  return `parameter ${name} is not supported; settings of PostgreSQL are given as options=-c%20name%3Dvalue`
}

/** Thrown for an address that cannot be honoured. Its reason quotes no secret. */
export class AddressError extends Error {
  override readonly name = 'AddressError'
  readonly reason: string

  constructor(reason: string) {
    super(`Cannot read DATABASE_URL: ${reason}`)
    this.reason = reason
  }
}

export function invalid(reason: string): AddressError {
  return new AddressError(reason)
}
