// Runs in every process. The only reader of the environment.
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { countCpus } from './cpus.ts'
import { isSocketPath } from './kinds.ts'
import { describeMisnomers, describeStrays } from './misnomers.ts'
import {
  SETTINGS,
  type Setting,
  type SettingName,
  settingEntries,
  type Values,
} from './settings.ts'
import {
  type ConfigProblem,
  type Found,
  fileVariable,
  findTexts,
  type Source,
  type Variables,
} from './sources.ts'

/** Settings whose default depends on others, or on the machine. */
type Computed = 'LISTENERS' | 'DB_CONNECTIONS'

/** The settings in force, frozen. Names are the environment's own. */
export type Config = Readonly<Omit<Values, Computed> & Record<Computed, number>>

/** What sets a setting. */
export interface Origin {
  /** A place in words, and the variable there when it does not bear the setting's name. */
  readonly source: string
  /** What was read; absent for secrets. */
  readonly text?: string
}

/** What a process reads its settings for: to serve requests, or for a command on the database or about the service. */
export type Purpose = 'serve' | 'command'

/** The settings in force, and the origin of each that does not have its default. */
export interface TracedConfig {
  readonly config: Config
  readonly origins: ReadonlyMap<SettingName, Origin>
}

/** Thrown by `readConfig` with every problem at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]

  /** @param hints lines about what may have caused the problems */
  constructor(problems: readonly ConfigProblem[], hints: readonly string[]) {
    const lines = problems.map(describeProblem)
    super(['Cannot read the configuration:', ...lines, ...hints].join('\n  '))
    this.problems = problems
  }
}

/**
 * Reads the settings from `env`, then from `file` (the text of a `.env` file) for what `env` does not set,
 * and from the files that either names for secrets. A variable set to the empty string counts as not set. Throws
 * `ConfigError`.
 */
export function parseConfig(env: Variables, file = ''): Config {
  return traceConfig(listSources(env, file)).config
}

/**
 * Reads this process' environment and the `.env` file of the working directory. Throws `ConfigError`.
 *
 * @param purpose of the process: what serves needs a secret
 */
export function readConfig(purpose: Purpose = 'serve'): Config {
  return traceConfig(readSources(), purpose).config
}

/** As `readConfig`, and says what sets each setting. */
export function readTracedConfig(): TracedConfig {
  return traceConfig(readSources())
}

/**
 * As `readTracedConfig`, but throws nothing: settings that cannot be used have their default, or `undefined`, and `problems`
 * has a line about each.
 */
export function inspectConfig(): TracedConfig & { readonly problems: readonly string[] } {
  const { problems, ...traced } = inspect(readSources())
  return { ...traced, problems: problems.map(describeProblem) }
}

/** Lines about variables of this process' environment and of `.env` that set nothing, but look as if they should. */
export function readMisnomers(): string[] {
  const sources = readSources()
  return [...describeMisnomers(sources), ...describeStrays(sources)]
}

function traceConfig(sources: readonly Source[], purpose: Purpose = 'serve'): TracedConfig {
  const { problems, ...traced } = inspect(sources, purpose)
  if (problems.length > 0) throw new ConfigError(problems, describeMisnomers(sources))
  return traced
}

function inspect(
  sources: readonly Source[],
  purpose: Purpose = 'serve',
): TracedConfig & { problems: ConfigProblem[] } {
  const found = findTexts(sources)
  const { values, problems } = parseTexts(found)
  problems.push(...findContradictions(found, values, purpose))
  const listeners = values.LISTENERS ?? countListeners(values)
  const connections = values.DB_CONNECTIONS ?? countDatabaseConnections(values)
  const config = Object.freeze({ ...values, LISTENERS: listeners, DB_CONNECTIONS: connections })
  const origins = new Map([...found].map(([name, read]) => [name, originOf(name, read)]))
  return { config, origins, problems }
}

/** What cannot be parsed has its default. */
function parseTexts(found: ReadonlyMap<SettingName, Found>): {
  values: Values
  problems: ConfigProblem[]
} {
  const values: Partial<Record<SettingName, unknown>> = {}
  const problems: ConfigProblem[] = []
  for (const [name, { kind, default: preset }] of settingEntries) {
    const read = found.get(name)
    const parsed = read && !read.problem ? kind.parse(read.text) : undefined
    if (read && !parsed) problems.push(read.problem ?? problem(name, read))
    values[name] = (parsed ?? (preset === undefined ? undefined : kind.parse(preset)))?.value
  }
  return { values: values as Values, problems }
}

/** What is wrong with settings together that are right one by one. */
function findContradictions(
  found: ReadonlyMap<SettingName, Found>,
  values: Values,
  purpose: Purpose,
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (purpose === 'serve' && found.has('DATABASE_URL') && !found.has('JWT_SECRET')) {
    problems.push({
      name: 'JWT_SECRET',
      value: 'not set',
      expected: `${SETTINGS.JWT_SECRET.kind.expected}, because DATABASE_URL is set`,
      source: 'the environment or .env',
    })
  }
  const client = found.get('DB_CLIENT')
  if (client && values.DB_CLIENT === 'postgres' && values.DB_POOLER === 'transaction') {
    // Without prepared statements it waits for PostgreSQL between parsing and running each, and pipelines none.
    const expected = 'wire, because DB_POOLER is transaction'
    problems.push({ ...problem('DB_CLIENT', client), expected })
  }
  const listeners = found.get('LISTENERS')
  if (listeners && isSocketPath(values.SERVER_HOST) && Number(values.LISTENERS) > 1) {
    // The kernel shares out the connections of a port among processes, but not those of a unix socket.
    const expected = '1, because SERVER_HOST is a unix socket'
    problems.push({ ...problem('LISTENERS', listeners), expected })
  }
  return problems
}

function originOf(name: SettingName, { text, variable, label }: Found): Origin {
  const { kind }: Setting<unknown> = SETTINGS[name]
  const source = variable === name ? label : `${variable} in ${label}`
  return kind.secret ? { source } : { source, text }
}

function describeProblem({ name, value, expected, source }: ConfigProblem): string {
  return `${name} is ${value}, expected ${expected} (from ${source})`
}

function problem(name: SettingName, { text, variable, label, file }: Found): ConfigProblem {
  const { kind }: Setting<unknown> = SETTINGS[name]
  const isHidden = kind.secret === true || kind.hides?.(text) === true
  const value = isHidden ? `a value of ${Buffer.byteLength(text)} bytes` : JSON.stringify(text)
  const reason = kind.explain?.(text)
  const expected = reason ? `${kind.expected}; ${reason}` : kind.expected
  // The text is wrong, not the variable that names its file.
  if (file === undefined) return { name: variable, value, expected, source: label }
  return { name, value, expected, source: `${JSON.stringify(file)}, which ${variable} names` }
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

/**
 * The environment for a child process: this one's, with `changes` applied and `defaults` for what is not set. A changed
 * variable is passed on as a value, even where this process has it from a file.
 */
export function childEnvironment(
  changes: Record<string, string>,
  defaults: Record<string, string>,
): NodeJS.ProcessEnv {
  const files = Object.keys(changes).map((name) => [fileVariable(name), ''])
  return { ...defaults, ...process.env, ...changes, ...Object.fromEntries(files) }
}

/** Sets a variable that a native addon reads when it loads, unless the user has set it. */
export function presetEnvironment(name: string, value: string): void {
  process.env[name] ??= value
}

function readSources(): Source[] {
  return listSources(process.env, readEnvFile())
}

function listSources(env: Variables, file: string): Source[] {
  return [
    { label: 'the environment', variables: env },
    { label: '.env', variables: parseEnv(file) },
  ]
}

function readEnvFile(): string {
  try {
    return readFileSync('.env', 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
