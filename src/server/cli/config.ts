// Runs in the process that the user started: the command `config`, which prints the settings in force.
import { join } from 'node:path'
import type { Address } from '../../db/address.ts'
import {
  type Config,
  readMisnomers,
  readTracedConfig,
  type TracedConfig,
} from '../config/config.ts'
import { wrap } from '../config/docs.ts'
import { Secret } from '../config/secret.ts'
import { SETTINGS, type Setting, type SettingName, settingEntries } from '../config/settings.ts'
import { SECRET_FILE } from '../process/local-database.ts'

const VALUE_COLUMNS = 44
const GAP = '  '

/** A setting, with no more of a secret than may be seen. */
interface Shown {
  readonly name: SettingName
  /** For people. */
  readonly text: string
  /** For scripts. */
  readonly value: unknown
  readonly source: string
}

/** Prints a table, or with `json` an object; then, as warnings, the variables that set nothing. Throws `ConfigError`. */
export function printConfig({ json }: { json: boolean }): void {
  const traced = readTracedConfig()
  const shown = settingEntries.map(([name]) => ({
    name,
    ...showValue(name, traced),
    source: describeSource(name, traced),
  }))
  process.stdout.write(json ? renderJson(shown) : renderTable(shown))
  for (const warning of readMisnomers()) process.stderr.write(`${warning}\n`)
}

function showValue(
  name: SettingName,
  { config, origins }: TracedConfig,
): Pick<Shown, 'text' | 'value'> {
  const value = config[name]
  const local = showLocal(name, config)
  if (local !== undefined) return { text: local, value: null }
  if (name === 'DATABASE_URL' && config.DATABASE_URL)
    return showAddress(config.DATABASE_URL.address)
  if (value instanceof Secret) {
    const bytes = Buffer.byteLength(value.reveal())
    return { text: `set (${bytes} bytes)`, value: { bytes } }
  }
  if (typeof value === 'boolean') return { text: value ? 'on' : 'off', value }
  if (typeof value === 'string' || typeof value === 'number') return { text: String(value), value }
  const { default: preset }: Setting<unknown> = SETTINGS[name]
  const text = origins.get(name)?.text ?? preset
  return { text: text ?? 'not set', value: text ?? null }
}

/** What stands in for the two that a start without `DATABASE_URL` does not need. */
function showLocal(name: SettingName, config: Config): string | undefined {
  if (config.DATABASE_URL) return undefined
  if (name === 'DATABASE_URL') return `local PostgreSQL in ${config.DATA_DIR}`
  if (name !== 'JWT_SECRET' || config.JWT_SECRET) return undefined
  return `kept in ${join(config.DATA_DIR, SECRET_FILE)}`
}

function showAddress({ hosts, database, user, tls }: Address): Pick<Shown, 'text' | 'value'> {
  const value = { hosts, database, user, sslmode: tls.mode }
  const names = hosts.map((host) => host.name).join(',')
  const ports = hosts.map((host) => host.port).join(',')
  const text = `host ${names}, port ${ports}, database ${database}, user ${user}, sslmode ${tls.mode}`
  return { text, value }
}

function describeSource(name: SettingName, { config, origins }: TracedConfig): string {
  const origin = origins.get(name)
  if (origin) return origin.source
  if (showLocal(name, config) !== undefined) return 'made at the start'
  const { default: preset }: Setting<unknown> = SETTINGS[name]
  return preset === undefined && config[name] !== undefined ? 'computed' : 'default'
}

function renderJson(settings: readonly Shown[]): string {
  const entries = settings.map(({ name, value, source }) => [name, { value, source }])
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`
}

function renderTable(settings: readonly Shown[]): string {
  const nameWidth = Math.max(...settings.map(({ name }) => name.length))
  const lines = settings.flatMap(({ name, text, source }) => {
    const [first = '', ...more] = wrap(text, VALUE_COLUMNS)
    const indent = ' '.repeat(nameWidth) + GAP
    return [
      name.padEnd(nameWidth) + GAP + first.padEnd(VALUE_COLUMNS) + GAP + source,
      ...more.map((line) => indent + line),
    ]
  })
  return `${lines.join('\n')}\n`
}
