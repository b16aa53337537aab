// Runs in every process. The only reader of the environment.
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { countCpus } from './cpus.ts'
import { isSocketPath, type Kind } from './kinds.ts'
import { SETTINGS, type SettingName, settingEntries, type Values } from './settings.ts'

/** Settings whose default depends on others, or on the machine. */
type Computed = 'LISTENERS' | 'DB_CONNECTIONS'

/** The settings in force, frozen. Names are the environment's own. */
export type Config = Readonly<Omit<Values, Computed> & Record<Computed, number>>

/** One variable that could not be used. `value` is withheld for secrets. */
export interface ConfigProblem {
  name: SettingName
  value: string
  expected: string
  source: string
}

/** Thrown by `readConfig` with every problem at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(
      ({ name, value, expected, source }) =>
        `  ${name} is ${value}, expected ${expected} (from ${source})`,
    )
    super(`Cannot read the configuration:\n${lines.join('\n')}`)
    this.problems = problems
  }
}

type Variables = Record<string, string | undefined>

/**
 * Reads the settings from `env`, then from `file` (the text of a `.env` file) for what `env` does not set.
 * A variable set to the empty string counts as not set. Throws `ConfigError`.
 */
export function parseConfig(env: Variables, file = ''): Config {
  const fromFile: Variables = parseEnv(file)
  const isSet = (name: SettingName) => Boolean(env[name] || fromFile[name])
  const values: Partial<Record<SettingName, unknown>> = {}
  const problems: ConfigProblem[] = []
  for (const [name, setting] of settingEntries) {
    const text = env[name] || fromFile[name] || setting.default
    const parsed = text === undefined ? { value: undefined } : setting.kind.parse(text)
    if (parsed) values[name] = parsed.value
    else problems.push(problem(name, text ?? '', env[name] ? 'the environment' : '.env'))
  }
  if (isSet('DATABASE_URL') && !isSet('JWT_SECRET')) {
    const expected = `${SETTINGS.JWT_SECRET.kind.expected}, because DATABASE_URL is set`
    problems.push({
      name: 'JWT_SECRET',
      value: 'not set',
      expected,
      source: 'the environment or .env',
    })
  }
  if (values.DB_CLIENT === 'postgres' && values.DB_POOLER === 'transaction') {
    // Without prepared statements it waits for PostgreSQL between parsing and running each, and pipelines none.
    const source = env.DB_CLIENT ? 'the environment' : '.env'
    const expected = 'wire, because DB_POOLER is transaction'
    problems.push({ ...problem('DB_CLIENT', 'postgres', source), expected })
  }
  if (isSocketPath(String(values.SERVER_HOST)) && Number(values.LISTENERS ?? 1) > 1) {
    // The kernel shares out the connections of a port among processes, but not those of a unix socket.
    const source = env.LISTENERS ? 'the environment' : '.env'
    const expected = '1, because SERVER_HOST is a unix socket'
    problems.push({ ...problem('LISTENERS', String(values.LISTENERS), source), expected })
  }
  if (problems.length > 0) throw new ConfigError(problems)
  const checked = values as Values
  const listeners = checked.LISTENERS ?? countListeners(checked)
  const connections = checked.DB_CONNECTIONS ?? countDatabaseConnections(checked)
  return Object.freeze({ ...checked, LISTENERS: listeners, DB_CONNECTIONS: connections })
}

/**
 * A listener per CPU; half as many when PostgreSQL shares the CPUs. On two CPUs with a local PostgreSQL, one listener
 * answered 13 % more reads than two, in a third of the memory: its batches are twice as large.
 */
function countListeners({ DATABASE_URL: database, SERVER_HOST }: Values): number {
  if (isSocketPath(SERVER_HOST)) return 1
  const cpus = countCpus()
  return (database?.isLocal ?? true) ? Math.max(1, Math.floor(cpus / 2)) : cpus
}

/**
 * One for each purpose. Without batches each write waits for a commit of its own: with four connections for each purpose
 * PostgreSQL commits several together, and answers half as many patches again.
 */
function countDatabaseConnections({ DB_BATCHING }: Values): number {
  return DB_BATCHING ? 3 : 12
}

function problem(name: SettingName, text: string, source: string): ConfigProblem {
  const kind: Kind<unknown> = SETTINGS[name].kind
  const value = kind.secret ? `a value of ${Buffer.byteLength(text)} bytes` : JSON.stringify(text)
  const reason = kind.explain?.(text)
  const expected = reason ? `${kind.expected}; ${reason}` : kind.expected
  return { name, value, expected, source }
}

/** Reads this process' environment and the `.env` file of the working directory. Throws `ConfigError`. */
export function readConfig(): Config {
  return parseConfig(process.env, readEnvFile())
}

/** The environment for a child process: this one's, with `changes` applied and `defaults` for what is not set. */
export function childEnvironment(
  changes: Record<string, string>,
  defaults: Record<string, string>,
): NodeJS.ProcessEnv {
  return { ...defaults, ...process.env, ...changes }
}

/** Sets a variable that a native addon reads when it loads, unless the user has set it. */
export function presetEnvironment(name: string, value: string): void {
  process.env[name] ??= value
}

function readEnvFile(): string {
  try {
    return readFileSync('.env', 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
