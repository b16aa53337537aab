// Runs in every process. The only reader of the environment.
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { countCpus } from './cpus.ts'
import {
  expectation,
  parseSetting,
  SETTINGS,
  type SettingName,
  settingEntries,
  type Values,
} from './settings.ts'

/** The settings in force, frozen. Names are the environment's own. */
export type Config = Readonly<Omit<Values, 'LISTENERS'> & { LISTENERS: number }>

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

/**
 * Reads the settings from `env`, then from `file` (the text of a `.env` file) for what `env` does not set.
 * A variable set to the empty string counts as not set. Throws `ConfigError`.
 */
export function parseConfig(env: Variables, file = ''): Config {
  const fromFile: Variables = parseEnv(file)
  const values: Record<string, string | number> = {}
  const read = (name: SettingName) => env[name] || fromFile[name]
  const problems: ConfigProblem[] = []
  for (const [name, setting] of settingEntries) {
    const source = env[name] ? 'the environment' : '.env'
    const text = read(name)
    const value = text ? parseSetting(setting, text) : setting.default
    if (value !== undefined) values[name] = value
    else if (text) problems.push(problem(name, text, source))
  }
  if (read('DATABASE_URL') && !read('JWT_SECRET')) {
    const expected = `${expectation(SETTINGS.JWT_SECRET)}, because DATABASE_URL is set`
    problems.push({ name: 'JWT_SECRET', value: 'not set', expected, source: 'nowhere' })
  }
  if (problems.length > 0) throw new ConfigError(problems)
  const checked = values as unknown as Values
  return Object.freeze({
    ...checked,
    LISTENERS: checked.LISTENERS ?? countListeners(checked.DATABASE_URL),
  })
}

/**
 * A listener per CPU; half as many when PostgreSQL shares the CPUs. On two CPUs with a local PostgreSQL, one listener
 * answered 13 % more reads than two, in a third of the memory: its batches are twice as large.
 */
function countListeners(databaseUrl: string | undefined): number {
  const cpus = countCpus()
  return databaseUrl === undefined || isLocal(databaseUrl)
    ? Math.max(1, Math.floor(cpus / 2))
    : cpus
}

function isLocal(databaseUrl: string): boolean {
  const { hostname, searchParams } = new URL(databaseUrl)
  const host = searchParams.get('host') ?? hostname
  return host.startsWith('/') || ['', 'localhost', '127.0.0.1', '[::1]'].includes(host)
}

/** Reads this process' environment and the `.env` file of the working directory. Throws `ConfigError`. */
export function readConfig(): Config {
  return parseConfig(process.env, readEnvFile())
}

/** The environment for a child process: this one's, with `changes` on top and `defaults` for what is not set. */
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

function problem(name: SettingName, text: string, source: string): ConfigProblem {
  const setting = SETTINGS[name]
  const value =
    'secret' in setting ? `a value of ${Buffer.byteLength(text)} bytes` : JSON.stringify(text)
  return { name, value, expected: expectation(setting), source }
}

function readEnvFile(): string {
  try {
    return readFileSync('.env', 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
