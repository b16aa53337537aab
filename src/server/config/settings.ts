// Runs in every process. Every setting, named as in the environment. Parsing, `--help`, `.env.example` and the README's
// table come from here. Plain data, so that the supervisor need not load a schema compiler.

/** Shortest accepted HS256 key, in bytes: RFC 7518, section 3.2 asks for at least the hash size. */
const JWT_SECRET_BYTES_MIN = 32

interface Described {
  description: string
  /** True when its value must never be shown. */
  secret?: true
}

/** What one setting accepts. Without `default` it may be absent. */
export type Setting = Described &
  (
    | { kind: 'integer'; minimum: number; maximum: number; default?: number }
    | { kind: 'choice'; values: readonly string[]; default?: string }
    | { kind: 'text'; accepts?: (text: string) => boolean; expected?: string; default?: string }
  )

export const SETTINGS = {
  DATABASE_URL: {
    kind: 'text',
    accepts: isPostgresUrl,
    description: 'PostgreSQL to use; when absent a local PostgreSQL is started in `DATA_DIR`',
    expected: 'postgres://user:password@host:port/database',
    secret: true,
  },
  JWT_SECRET: {
    kind: 'text',
    accepts: isJwtSecret,
    description: 'Key that signs tokens (HS256); required with `DATABASE_URL`, else made and kept',
    expected: `at least ${JWT_SECRET_BYTES_MIN} bytes`,
    secret: true,
  },
  JWT_EXPIRATION_HOURS: {
    kind: 'integer',
    minimum: 1,
    maximum: 8760,
    default: 24,
    description: 'Life of a token, in hours',
  },
  SERVER_HOST: { kind: 'text', default: '0.0.0.0', description: 'Address to listen on' },
  SERVER_PORT: {
    kind: 'integer',
    minimum: 0,
    maximum: 65535,
    default: 8080,
    description: 'Port to listen on; 0 takes a free one',
  },
  LISTENERS: {
    kind: 'integer',
    minimum: 1,
    maximum: 256,
    description:
      'Listener processes on the port; by default one per CPU, quota included, or per two when PostgreSQL is on this machine',
  },
  LOG_LEVEL: {
    kind: 'choice',
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    description: 'Least severe level that is logged; `debug` logs each request',
  },
  CORS_ORIGINS: {
    kind: 'text',
    accepts: isOriginList,
    default: '*',
    description: 'Origins that browsers may call from: `*`, or a comma-separated list',
    expected: '* or a comma-separated list such as https://app.example.com',
  },
  MAX_BODY_BYTES: {
    kind: 'integer',
    minimum: 1024,
    maximum: 16_777_216,
    default: 65_536,
    description: 'Largest accepted request body, in bytes',
  },
  MAX_CONNECTIONS: {
    kind: 'integer',
    minimum: 1,
    maximum: 1_000_000,
    default: 10_000,
    description: 'Open client connections per listener; further ones are closed at once',
  },
  REQUEST_TIMEOUT_MS: {
    kind: 'integer',
    minimum: 100,
    maximum: 600_000,
    default: 10_000,
    description: 'Longest time from the head of a request to its answer',
  },
  STARTUP_TIMEOUT_MS: {
    kind: 'integer',
    minimum: 1000,
    maximum: 600_000,
    default: 30_000,
    description: 'Longest wait for the database and its migrations at start',
  },
  SHUTDOWN_TIMEOUT_MS: {
    kind: 'integer',
    minimum: 0,
    maximum: 600_000,
    default: 15_000,
    description: 'Longest time a drain may take before what is left is cut off',
  },
  DRAIN_DELAY_MS: {
    kind: 'integer',
    minimum: 0,
    maximum: 600_000,
    default: 0,
    description: 'Time between failing readiness and refusing connections, for load balancers',
  },
  DB_CONNECTIONS: {
    kind: 'integer',
    minimum: 1,
    maximum: 100,
    default: 2,
    description: 'PostgreSQL connections per listener; statements are pipelined over them',
  },
  DB_QUEUE: {
    kind: 'integer',
    minimum: 1,
    maximum: 100_000,
    default: 1000,
    description: 'Statements per listener that may wait for PostgreSQL; further ones get 503',
  },
  DB_BATCHING: {
    kind: 'choice',
    values: ['on', 'off'],
    default: 'on',
    description:
      'Whether calls that wait at the same moment share a statement; `off` for comparisons',
  },
  DB_STATEMENT_TIMEOUT_MS: {
    kind: 'integer',
    minimum: 100,
    maximum: 600_000,
    default: 5000,
    description: 'Longest time PostgreSQL may spend on one statement',
  },
  PASSWORD_THREADS: {
    kind: 'integer',
    minimum: 1,
    maximum: 64,
    default: 1,
    description: 'Threads per listener that hash passwords; each takes 19 MiB while it hashes',
  },
  PASSWORD_QUEUE: {
    kind: 'integer',
    minimum: 1,
    maximum: 10_000,
    default: 32,
    description: 'Logins and registrations per listener that may wait for a thread; then 503',
  },
  DATA_DIR: {
    kind: 'text',
    default: '.taskapi',
    description: 'Folder of the local PostgreSQL and the kept secret',
  },
} as const satisfies Record<string, Setting>

export type SettingName = keyof typeof SETTINGS

type Value<S> = S extends { kind: 'integer' }
  ? number
  : S extends { kind: 'choice'; values: readonly (infer Choice)[] }
    ? Choice
    : string

type Preset = {
  [Name in SettingName]: (typeof SETTINGS)[Name] extends { default: unknown } ? Name : never
}[SettingName]

/** The settings as values: those without a default may be absent. */
export type Values = { [Name in Preset]: Value<(typeof SETTINGS)[Name]> } & {
  [Name in Exclude<SettingName, Preset>]?: Value<(typeof SETTINGS)[Name]>
}

/** Every setting, in the order of the documents. */
export const settingEntries = Object.entries(SETTINGS) as [SettingName, Setting][]

/** The value of `text`, or `undefined` when the setting does not accept it. */
export function parseSetting(setting: Setting, text: string): string | number | undefined {
  switch (setting.kind) {
    case 'integer': {
      const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      return value >= setting.minimum && value <= setting.maximum ? value : undefined
    }
    case 'choice':
      return setting.values.includes(text) ? text : undefined
    case 'text':
      return (setting.accepts?.(text) ?? true) ? text : undefined
  }
}

/** What a setting accepts, in words. */
export function expectation(setting: Setting): string {
  switch (setting.kind) {
    case 'integer':
      return `an integer from ${setting.minimum} to ${setting.maximum}`
    case 'choice':
      return setting.values.join(', ')
    case 'text':
      return setting.expected ?? 'a text that is not empty'
  }
}

/** The origins of a list, or `undefined` for `*` (any). */
export function parseAllowedOrigins(text: string): ReadonlySet<string> | undefined {
  return text === '*' ? undefined : new Set(parseOrigins(text))
}

function isJwtSecret(text: string): boolean {
  return Buffer.byteLength(text) >= JWT_SECRET_BYTES_MIN
}

function isOriginList(text: string): boolean {
  return text === '*' || parseOrigins(text).every(isOrigin)
}

function isPostgresUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname } = new URL(text)
  return (protocol === 'postgres:' || protocol === 'postgresql:') && pathname.length > 1
}

function parseOrigins(text: string): string[] {
  return text.split(',').map((origin) => origin.trim())
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}
