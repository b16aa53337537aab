// Runs in every process. The only reader of the environment.
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { FormatRegistry, type Static, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { countCpus } from './cpus.ts'

/** Shortest accepted HS256 key, in bytes: RFC 7518, section 3.2 asks for at least the hash size. */
export const JWT_SECRET_BYTES_MIN = 32

FormatRegistry.Set('postgres-url', isPostgresUrl)
FormatRegistry.Set('origins', (text) => text === '*' || parseOrigins(text).every(isOrigin))
FormatRegistry.Set('jwt-secret', (text) => Buffer.byteLength(text) >= JWT_SECRET_BYTES_MIN)

/** Every setting, named as in the environment. Parsing, `--help`, `.env.example` and the README table come from here. */
const SETTINGS = Type.Object({
  DATABASE_URL: Type.Optional(
    Type.String({
      format: 'postgres-url',
      description: 'PostgreSQL to use; when absent a local PostgreSQL is started in `DATA_DIR`',
      expected: 'postgres://user:password@host:port/database',
      secret: true,
    }),
  ),
  JWT_SECRET: Type.Optional(
    Type.String({
      format: 'jwt-secret',
      description:
        'Key that signs tokens (HS256); required with `DATABASE_URL`, else made and kept',
      expected: `at least ${JWT_SECRET_BYTES_MIN} bytes`,
      secret: true,
    }),
  ),
  JWT_EXPIRATION_HOURS: Type.Integer({
    minimum: 1,
    maximum: 8760,
    default: 24,
    description: 'Life of a token, in hours',
  }),
  SERVER_HOST: Type.String({
    minLength: 1,
    default: '0.0.0.0',
    description: 'Address to listen on',
  }),
  SERVER_PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 8080,
    description: 'Port to listen on; 0 takes a free one',
  }),
  LISTENERS: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 256,
      description:
        'Listener processes on the port; by default the CPUs this process may use, quota included',
    }),
  ),
  LOG_LEVEL: Type.Union(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) =>
      Type.Literal(level),
    ),
    {
      default: 'info',
      description: 'Least severe level that is logged; `debug` logs each request',
    },
  ),
  CORS_ORIGINS: Type.String({
    format: 'origins',
    default: '*',
    description: 'Origins that browsers may call from: `*`, or a comma-separated list',
    expected: '* or a comma-separated list such as https://app.example.com',
  }),
  MAX_BODY_BYTES: Type.Integer({
    minimum: 1024,
    maximum: 16_777_216,
    default: 65_536,
    description: 'Largest accepted request body, in bytes',
  }),
  MAX_CONNECTIONS: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 10_000,
    description: 'Open client connections per listener; further ones are closed at once',
  }),
  REQUEST_TIMEOUT_MS: Type.Integer({
    minimum: 100,
    maximum: 600_000,
    default: 10_000,
    description: 'Longest time from the head of a request to its answer',
  }),
  STARTUP_TIMEOUT_MS: Type.Integer({
    minimum: 1000,
    maximum: 600_000,
    default: 30_000,
    description: 'Longest wait for the database and its migrations at start',
  }),
  SHUTDOWN_TIMEOUT_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 15_000,
    description: 'Longest time a drain may take before what is left is cut off',
  }),
  DRAIN_DELAY_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 0,
    description: 'Time between failing readiness and refusing connections, for load balancers',
  }),
  DB_CONNECTIONS: Type.Integer({
    minimum: 1,
    maximum: 100,
    default: 2,
    description: 'PostgreSQL connections per listener; statements are pipelined over them',
  }),
  DB_QUEUE: Type.Integer({
    minimum: 1,
    maximum: 100_000,
    default: 1000,
    description: 'Statements per listener that may wait for PostgreSQL; further ones get 503',
  }),
  DB_BATCHING: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description:
      'Whether calls that wait at the same moment share a statement; `off` for comparisons',
  }),
  DB_STATEMENT_TIMEOUT_MS: Type.Integer({
    minimum: 100,
    maximum: 600_000,
    default: 5000,
    description: 'Longest time PostgreSQL may spend on one statement',
  }),
  PASSWORD_THREADS: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 1,
    description: 'Threads per listener that hash passwords; each takes 19 MiB while it hashes',
  }),
  PASSWORD_QUEUE: Type.Integer({
    minimum: 1,
    maximum: 10_000,
    default: 32,
    description: 'Logins and registrations per listener that may wait for a thread; then 503',
  }),
  DATA_DIR: Type.String({
    minLength: 1,
    default: '.taskapi',
    description: 'Folder of the local PostgreSQL and the kept secret',
  }),
})

export type SettingName = keyof typeof SETTINGS.properties

/** The settings in force, frozen. Names are the environment's own. */
export type Config = Readonly<Omit<Static<typeof SETTINGS>, 'LISTENERS'> & { LISTENERS: number }>

/** One variable that could not be used. `value` is withheld for secrets. */
export interface ConfigProblem {
  name: SettingName
  value: string
  expected: string
  source: string
}

/** Thrown by `readConfig` with every problem at once. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(
      ({ name, value, expected, source }) =>
        `  ${name} is ${value}, expected ${expected} (from ${source})`,
    )
    super(`Cannot read the configuration:\n${lines.join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

type Variables = Record<string, string | undefined>

const settings = TypeCompiler.Compile(SETTINGS)

/**
 * Reads the settings from `env`, then from `file` (the text of a `.env` file) for what `env` does not set.
 * A variable set to the empty string counts as not set. Throws `ConfigError`.
 */
export function parseConfig(env: Variables, file = ''): Config {
  const fromFile: Variables = parseEnv(file)
  const values: Record<string, string | number> = {}
  const raw = new Map<SettingName, { text: string; source: string }>()
  for (const [name, schema] of settingEntries()) {
    const source = env[name] ? 'the environment' : '.env'
    const text = env[name] || fromFile[name]
    if (text) {
      raw.set(name, { text, source })
      values[name] = schema.type === 'integer' ? toInteger(text) : text
    } else if (schema.default !== undefined) {
      values[name] = schema.default
    }
  }

  const problems = new Map<SettingName, ConfigProblem>()
  for (const error of settings.Errors(values)) {
    const name = error.path.slice(1) as SettingName
    const given = raw.get(name)
    if (given) problems.set(name, problem(name, given.text, given.source))
  }
  if (values.DATABASE_URL !== undefined && values.JWT_SECRET === undefined) {
    const expected = `${expectation(SETTINGS.properties.JWT_SECRET)}, because DATABASE_URL is set`
    problems.set('JWT_SECRET', {
      name: 'JWT_SECRET',
      value: 'not set',
      expected,
      source: 'nowhere',
    })
  }
  if (problems.size > 0) throw new ConfigError([...problems.values()])
  const checked = values as Static<typeof SETTINGS>
  return Object.freeze({ ...checked, LISTENERS: checked.LISTENERS ?? countCpus() })
}

/** Reads this process' environment and the `.env` file of the working directory. Throws `ConfigError`. */
export function readConfig(): Config {
  return parseConfig(process.env, readEnvFile())
}

/** The environment for a child process: this one's, with `changes` on top. */
export function childEnvironment(changes: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, ...changes }
}

/** Sets a variable that a native addon reads when it loads, unless the user has set it. */
export function presetEnvironment(name: string, value: string): void {
  process.env[name] ??= value
}

/** The origins of a list, or `undefined` for `*` (any). */
export function parseAllowedOrigins(text: string): ReadonlySet<string> | undefined {
  return text === '*' ? undefined : new Set(parseOrigins(text))
}

/** Every setting with its schema, in the order of the documents. */
export function settingEntries(): [SettingName, TSchema][] {
  return Object.entries(SETTINGS.properties) as [SettingName, TSchema][]
}

function problem(name: SettingName, text: string, source: string): ConfigProblem {
  const schema: TSchema = SETTINGS.properties[name]
  const value = schema.secret ? `a value of ${Buffer.byteLength(text)} bytes` : JSON.stringify(text)
  return { name, value, expected: expectation(schema), source }
}

/** What a setting accepts, in words. */
export function expectation(schema: TSchema): string {
  if (schema.expected) return schema.expected
  if (schema.anyOf) return schema.anyOf.map((option: TSchema) => option.const).join(', ')
  if (schema.type === 'integer') return `an integer from ${schema.minimum} to ${schema.maximum}`
  return 'a text that is not empty'
}

/** A number for the text of an integer, else the text itself, which then fails its check. */
function toInteger(text: string): number | string {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

function readEnvFile(): string {
  try {
    return readFileSync('.env', 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
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
