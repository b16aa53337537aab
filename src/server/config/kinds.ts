// Runs in every process. The kinds of values that settings have: what each accepts, in words and in code.
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { type Address, readAddress } from '../../db/address.ts'
import { AddressError } from '../../db/address-parameters.ts'
import { Secret } from './secret.ts'

/** What the text of a setting may be, and which value it means. */
export interface Kind<Value> {
  /** What is accepted, in words. */
  readonly expected: string
  /** True when the text must never be shown. */
  readonly secret?: true
  /** Whether a text that is not accepted may hold a secret, where others of the kind may be shown. */
  readonly hides?: (text: string) => boolean
  /** What the text means, or `undefined` when it is not accepted. */
  readonly parse: (text: string) => Parsed<Value> | undefined
  /** What is wrong with a text that is not accepted, where that says more than `expected`. Quotes no secret. */
  readonly explain?: (text: string) => string | undefined
}

/** Wrapped, because a value may itself be `undefined`. */
export interface Parsed<Value> {
  readonly value: Value
}

/** Where PostgreSQL is. */
export interface DatabaseUrl {
  /** Holds the password. */
  readonly url: Secret
  readonly address: Address
  /** Whether PostgreSQL shares this machine's CPUs with the service. */
  readonly isLocal: boolean
}

/** A token (RFC 9110, 5.6.2). */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/
/** Characters that Node sends in the value of a header. */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** The kernel has room for no more in the address of a unix socket. */
const SOCKET_PATH_BYTES_MAX = 107
const HOST_NAME = /^[\w-]+(?:\.[\w-]+)*\.?$/
const SECONDS_PER = { s: 1, m: 60, h: 3600 } as const
const RATE_MAX = 1_000_000
const WORDS_FOR_ON: readonly string[] = ['on', 'true', 'yes', '1']
const WORDS_FOR_OFF: readonly string[] = ['off', 'false', 'no', '0']
const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '::1']

export const nonEmptyText: Kind<string> = {
  expected: 'a non-empty string',
  parse: (text) => (text === '' ? undefined : { value: text }),
}

/** Where to listen: an address, a name, or the path of a unix socket. */
export const listenHost: Kind<string> = {
  expected:
    'an address, a host name, or the path of a unix socket such as /run/taskapi/http.sock or unix:/run/taskapi/http.sock',
  parse: (text) => {
    const host = text.startsWith('unix:/') ? text.slice('unix:'.length) : text
    const isPath = isSocketPath(host) && !host.endsWith('/')
    const fits = Buffer.byteLength(host) <= SOCKET_PATH_BYTES_MAX
    if (isPath) return fits ? { value: host } : undefined
    return isHost(host) ? { value: host } : undefined
  },
  explain: (text) =>
    Buffer.byteLength(text) > SOCKET_PATH_BYTES_MAX
      ? `a path has at most ${SOCKET_PATH_BYTES_MAX} bytes`
      : undefined,
}

/** Where to listen, but not on a unix socket. */
export const hostName: Kind<string> = {
  expected: 'an address or a host name',
  parse: (text) => (isHost(text) ? { value: text } : undefined),
}

/** Whether `SERVER_HOST` is the path of a unix socket. */
export function isSocketPath(host: string): boolean {
  return host.startsWith('/')
}

export const onOrOff: Kind<boolean> = {
  expected: 'on or off, also as true or false, yes or no, 1 or 0',
  parse: (text) => {
    const word = text.toLowerCase()
    if (WORDS_FOR_ON.includes(word)) return { value: true }
    return WORDS_FOR_OFF.includes(word) ? { value: false } : undefined
  },
}

/** A URL as libpq reads it. */
export const postgresUrl: Kind<DatabaseUrl> = {
  expected: 'postgres://user:password@host:port/database',
  secret: true,
  parse: (text) => {
    const read = readDatabaseUrl(text)
    return read instanceof AddressError ? undefined : { value: read }
  },
  explain: (text) => {
    const read = readDatabaseUrl(text)
    return read instanceof AddressError ? read.reason : undefined
  },
}

function readDatabaseUrl(text: string): DatabaseUrl | AddressError {
  try {
    const address = readAddress(text)
    const isLocal = address.hosts.every(
      ({ name }) => name.startsWith('/') || LOCAL_HOSTS.includes(name),
    )
    return { url: new Secret(text), address, isLocal }
  } catch (error) {
    if (error instanceof AddressError) return error
    throw error
  }
}

/** The origins of a list; `undefined` for any. */
export const origins: Kind<ReadonlySet<string> | undefined> = {
  expected: '* or a comma-separated list such as https://app.example.com',
  parse: (text) => {
    if (text === '*') return { value: undefined }
    const list = text.split(',').map((origin) => origin.trim())
    return list.every(isOrigin) ? { value: new Set(list) } : undefined
  },
}

/** The names of a list of header fields. */
export const headerNames: Kind<readonly string[]> = {
  expected: 'a comma-separated list of header names',
  parse: (text) => {
    const list = text.split(',').map((name) => name.trim())
    return list.every((name) => HEADER_NAME.test(name)) ? { value: list } : undefined
  },
}

/** So many requests in so many seconds. */
export interface Rate {
  readonly requests: number
  readonly seconds: number
}

/** A rate such as `100/s`; `undefined` for none. */
export const rate: Kind<Rate | undefined> = {
  expected:
    'off, or a number from 1 to 1000000 per second, minute or hour, such as 100/s, 1000/m or 5000/h',
  parse: (text) => {
    const word = text.toLowerCase()
    if (word === 'off') return { value: undefined }
    const [, requests, unit] = /^([1-9]\d{0,6})\/([smh])$/.exec(word) ?? []
    const seconds = SECONDS_PER[unit as keyof typeof SECONDS_PER]
    if (seconds === undefined || Number(requests) > RATE_MAX) return undefined
    return { value: { requests: Number(requests), seconds } }
  },
}

/** A network, and how many of its bits all of its addresses share. */
export type AddressRange = ReturnType<typeof ipaddr.parseCIDR>

const NAMED_RANGES: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/** The addresses of a list. */
export const addressRanges: Kind<readonly AddressRange[]> = {
  expected: 'a comma-separated list of addresses, networks such as 10.0.0.0/8, loopback, private',
  parse: (text) => {
    const names = text.split(',').map((name) => name.trim().toLowerCase())
    const ranges = names.flatMap((name) => NAMED_RANGES[name] ?? [name]).map(readRange)
    const known = ranges.filter((range) => range !== undefined)
    return known.length === ranges.length ? { value: known } : undefined
  },
}

function readRange(text: string): AddressRange | undefined {
  const [address = '', bits, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || rest.length > 0) return undefined
  const most = version === 4 ? 32 : 128
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most)) return undefined
  const network = ipaddr.parse(address)
  // Addresses are compared as IPv4 when they are IPv4: written as IPv6, a range would have no addresses.
  return network.range() === 'ipv4Mapped' ? undefined : [network, Number(bits ?? most)]
}

/** What of a URL may be a secret: the user and the password before the host, a key in the query. */
const SECRET_OF_URL = /[@?#]/

/** Where a collector is; what is sent to it has paths of its own below that. */
export const httpUrl: Kind<string> = {
  expected: 'a URL such as http://127.0.0.1:4318',
  hides: (text) => SECRET_OF_URL.test(text),
  parse: (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    const fits = url && ['http:', 'https:'].includes(url.protocol) && !SECRET_OF_URL.test(text)
    return fits ? { value: text.trim().replace(/\/+$/, '') } : undefined
  },
  explain: (text) =>
    SECRET_OF_URL.test(text)
      ? 'without user, password, query and fragment; a key goes into OTEL_EXPORTER_OTLP_HEADERS'
      : undefined,
}

/** A part of a whole. */
export const fraction: Kind<number> = {
  expected: 'a number from 0 to 1 such as 0.01',
  parse: (text) => {
    const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN
    return value <= 1 ? { value } : undefined
  },
}

/** Names and percent-encoded values, as OpenTelemetry writes them. */
export const namedValues: Kind<Readonly<Record<string, string>>> = {
  expected: 'name=value pairs, comma-separated and percent-encoded',
  parse: (text) => {
    const entries = text.split(',').map(readNamedValue)
    const known = entries.filter((entry) => entry !== undefined)
    return known.length === entries.length ? { value: Object.fromEntries(known) } : undefined
  },
}

/** The same, for headers: their values may be keys. */
export const secretHeaders: Kind<Secret> = {
  expected: namedValues.expected,
  secret: true,
  parse: (text) => {
    const entries = Object.entries(namedValues.parse(text)?.value ?? {})
    const fits = entries.every(
      ([name, value]) => HEADER_NAME.test(name) && HEADER_VALUE.test(value),
    )
    return fits && entries.length > 0 ? { value: new Secret(text) } : undefined
  },
}

function readNamedValue(text: string): [string, string] | undefined {
  const [, name = '', value = ''] = /^\s*([^\s=]+)\s*=\s*(.*?)\s*$/.exec(text) ?? []
  try {
    return name === '' ? undefined : [name, decodeURIComponent(value)]
  } catch {
    return undefined
  }
}

export function integer(minimum: number, maximum: number): Kind<number> {
  return {
    expected: `an integer from ${minimum} to ${maximum}`,
    parse: (text) => {
      const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      return value >= minimum && value <= maximum ? { value } : undefined
    },
  }
}

export function choice<const Choice extends string>(choices: readonly Choice[]): Kind<Choice> {
  return {
    expected: `one of ${choices.join(', ')}`,
    parse: (text) => {
      const word = text.toLowerCase()
      const value = choices.find((candidate) => candidate === word)
      return value === undefined ? undefined : { value }
    },
  }
}

export function secretText(bytesMin: number): Kind<Secret> {
  return {
    expected: `at least ${bytesMin} bytes`,
    secret: true,
    parse: (text) => (Buffer.byteLength(text) < bytesMin ? undefined : { value: new Secret(text) }),
  }
}

function isHost(text: string): boolean {
  return isIP(text) !== 0 || HOST_NAME.test(text)
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}
