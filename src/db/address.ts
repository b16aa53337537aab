// Runs in every process. Reads DATABASE_URL: where PostgreSQL is, who we are there, and how far the network is trusted.
import { isIP, isIPv6 } from 'node:net'
import { userInfo } from 'node:os'
import { parse } from 'pg-connection-string'
import { checkParameters, invalid, NOT_ENCODED } from './address-parameters.ts'

export const TLS_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof TLS_MODES)[number]

export interface Host {
  /** A name, an IP address, or the folder of a unix socket. */
  readonly name: string
  readonly port: number
}

export interface TlsOptions {
  readonly mode: TlsMode
  /** A file of certificates, or `system` for those that Node brings; absent: no authority was named. */
  readonly rootCertificates?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}

export interface Address {
  /** In the order in which they are tried. */
  readonly hosts: readonly Host[]
  readonly user: string
  /** A function, so that nothing prints it by accident. */
  readonly password?: () => string
  readonly database: string
  readonly tls: TlsOptions
  readonly channelBinding: 'disable' | 'prefer' | 'require'
  /** Whether a server that only reads will do; `primary` asks for the same as `read-write`. */
  readonly targetSession: 'read-write' | 'primary' | 'any'
  readonly connectTimeoutMs?: number
  readonly applicationName?: string
  /** Start-up options such as `-c search_path=app`, as libpq has them. */
  readonly options?: string
  /** Names of parameters that are for other tools. */
  readonly ignored: readonly string[]
}

const DEFAULT_PORT = 5432
const PORT_MAX = 65_535
const SCHEME = /^(postgres|postgresql):\/\//
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?$/
/** The name of a unix socket may have 107 bytes on Linux, 103 on macOS. */
const SOCKET_PATH_BYTES_MAX = 103

interface UrlParts {
  userinfo: string
  hosts: string
  database: string
  parameters: Map<string, string>
  /** A sign that the password was not percent-encoded: what follows may be a part of it. */
  suspicious: boolean
}

/** Reads a `postgres://` URL as libpq does. Throws for what cannot be honoured; never quotes a secret. */
export function readAddress(url: string): Address {
  const parts = cutUrl(url)
  const hosts = readHosts(parts)
  const { parameters } = parts
  const ignored = checkParameters(parameters, parts.suspicious)
  const { user, password } = readCredentials(parts)
  return {
    hosts,
    user,
    ...(password === undefined ? {} : { password: () => password }),
    database: parameters.get('dbname') || decode(parts.database, 'database') || user,
    tls: readTls(parameters),
    channelBinding: oneOf(parameters, 'channel_binding', ['prefer', 'disable', 'require']),
    targetSession: oneOf(parameters, 'target_session_attrs', ['read-write', 'primary', 'any']),
    ...readTimeout(parameters),
    ...optional('applicationName', parameters.get('application_name')),
    ...optional('options', parameters.get('options')),
    ignored,
  }
}

/** Hosts are cut out here because URL knows neither several of them nor folders. */
function cutUrl(url: string): UrlParts {
  if (!SCHEME.test(url)) throw invalid('it does not begin with postgres:// or postgresql://')
  if (url.includes('#')) throw invalid('it holds a #, which must be written as %23')
  if (/[\0\s]/.test(url)) throw invalid('it holds white space, which must be written as %20')
  const rest = url.slice(url.indexOf('//') + 2)
  const authorityEnd = rest.search(/[/?]/)
  const authority = authorityEnd < 0 ? rest : rest.slice(0, authorityEnd)
  const behind = authorityEnd < 0 ? '' : rest.slice(authorityEnd)
  const at = authority.lastIndexOf('@')
  const queryAt = behind.indexOf('?')
  const path = queryAt < 0 ? behind : behind.slice(0, queryAt)
  const query = queryAt < 0 ? '' : behind.slice(queryAt + 1)
  // Part of a password, unless somebody has such a database and no user.
  if (at < 0 && authority.includes(':') && path.includes('@')) throw invalid(NOT_ENCODED)
  return {
    userinfo: at < 0 ? '' : authority.slice(0, at),
    hosts: authority.slice(at + 1),
    database: path.slice(1),
    // A plus is a plus here, as for libpq.
    parameters: new Map(new URLSearchParams(query.replaceAll('+', '%2B'))),
    suspicious: at < 0 && authority.includes(':') && query.includes('@'),
  }
}

function readHosts({ hosts, parameters, suspicious }: UrlParts): Host[] {
  const hint = suspicious ? NOT_ENCODED : 'a host or port is not valid'
  const given = (parameters.get('host') || hosts).split(',').map((text) => cutHost(text, hint))
  const ports = parameters.get('port')?.split(',') ?? []
  if (ports.length > 1 && ports.length !== given.length) {
    throw invalid('it has another number of ports than of hosts')
  }
  return given.map(({ name, port }, index) => {
    const host = {
      name: checkHostName(name, hint),
      port: readPort(port || ports[index] || ports[0] || '', hint),
    }
    socketPath(host)
    return host
  })
}

function cutHost(text: string, hint: string): { name: string; port: string } {
  const bracketed = /^\[([^\]]+)\](?::(\d*))?$/.exec(text)
  if (bracketed) {
    const name = decode(bracketed[1] ?? '', 'host')
    if (!isIPv6(name)) throw invalid(hint)
    return { name, port: bracketed[2] ?? '' }
  }
  // As a parameter, folders and addresses come without brackets.
  if (text.startsWith('/') || isIPv6(text)) return { name: text, port: '' }
  const colon = text.lastIndexOf(':')
  const name = decode(colon < 0 ? text : text.slice(0, colon), 'host')
  return { name: name || 'localhost', port: colon < 0 ? '' : text.slice(colon + 1) }
}

function checkHostName(name: string, hint: string): string {
  if (name.startsWith('/')) {
    if (name.includes('\0')) throw invalid(hint)
    return name
  }
  if (isIP(name) === 0 && !HOST_NAME.test(name)) throw invalid(hint)
  return name
}

function readPort(text: string, hint: string): number {
  if (text === '') return DEFAULT_PORT
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > PORT_MAX) throw invalid(hint)
  return port
}

/** Where the unix socket of this host is; `undefined` when it is reached over TCP. Throws for too long a path. */
export function socketPath({ name, port }: Host): string | undefined {
  if (!name.startsWith('/')) return undefined
  const path = `${name.replace(/\/+$/, '')}/.s.PGSQL.${port}`
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw invalid('the path of its unix socket is too long')
  }
  return path
}

function readCredentials({ userinfo, parameters }: UrlParts): { user: string; password?: string } {
  const given = userinfo === '' ? {} : parseUserinfo(userinfo)
  const user = parameters.get('user') || given.user || systemUser()
  const password = parameters.get('password') || given.password
  if (user.includes('\0') || password?.includes('\0')) throw invalid('it holds a NUL character')
  return { user, ...(password ? { password } : {}) }
}

function parseUserinfo(userinfo: string): { user?: string; password?: string } {
  try {
    const { user, password } = parse(`postgres://${userinfo}@host/`)
    return { ...(user ? { user } : {}), ...(password ? { password } : {}) }
  } catch {
    // The parser's error may hold what it could not read.
    throw invalid(NOT_ENCODED)
  }
}

/** As libpq: whoever runs the process. */
function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    throw invalid('it names no user, and the user of this process has no name')
  }
}

function readTls(parameters: Map<string, string>): TlsOptions {
  const rootCertificates = parameters.get('sslrootcert') || undefined
  const mode = readTlsMode(parameters, rootCertificates)
  const certificateFile = parameters.get('sslcert') || undefined
  const keyFile = parameters.get('sslkey') || undefined
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw invalid('sslcert and sslkey need each other')
  }
  if (mode === 'verify-ca' && !rootCertificates) {
    throw invalid('sslmode verify-ca needs sslrootcert; for public authorities use verify-full')
  }
  return {
    mode,
    ...optional('rootCertificates', rootCertificates),
    ...optional('certificateFile', certificateFile),
    ...optional('keyFile', keyFile),
  }
}

/** `allow` asks for less than `prefer` and is treated like it; `require` with an authority verifies, as in libpq. */
function readTlsMode(parameters: Map<string, string>, roots: string | undefined): TlsMode {
  const given = parameters.get('sslmode') || (isTrue(parameters.get('ssl')) ? 'require' : '')
  const fallback = roots === 'system' ? 'verify-full' : 'prefer'
  const mode = given === 'allow' ? 'prefer' : given || fallback
  const known = TLS_MODES.find((name) => name === mode)
  if (!known) throw invalid(`sslmode must be one of ${TLS_MODES.join(', ')}`)
  if (roots === 'system' && known !== 'verify-full') {
    throw invalid('sslrootcert system needs sslmode verify-full')
  }
  return known === 'require' && roots ? 'verify-ca' : known
}

function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === '1' || text === 'require'
}

function readTimeout(parameters: Map<string, string>): { connectTimeoutMs?: number } {
  const text = parameters.get('connect_timeout') ?? '0'
  if (!/^\d{1,5}$/.test(text)) throw invalid('connect_timeout must be a number of seconds')
  const seconds = Number(text)
  return seconds === 0 ? {} : { connectTimeoutMs: 1000 * seconds }
}

/** The first of `values` when the parameter is absent. */
function oneOf<Value extends string>(
  parameters: Map<string, string>,
  name: string,
  values: readonly [Value, ...Value[]],
): Value {
  const text = parameters.get(name) || values[0]
  const value = values.find((each) => each === text)
  if (value === undefined) throw invalid(`${name} must be one of ${values.join(', ')}`)
  return value
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(`its ${what} is not percent-encoded`)
  }
}

function optional<Name extends string>(
  name: Name,
  value: string | undefined,
): { [key in Name]?: string } {
  return value ? ({ [name]: value } as { [key in Name]?: string }) : {}
}
