// Runs in listeners. What is settled on each connection before it carries statements, so that no setting of a database or
// a role changes what clients read or what a statement does.
import { ConnectionError } from './wire/error.ts'

/** What a session needs to be asked. */
interface Session {
  query(text: string): Promise<(string | null)[][]>
}

export interface SessionOptions {
  statementTimeoutMs: number
  applicationName: string
}

/** Run-time parameters by name, as `pg_settings` shows them. */
type Settings = Readonly<Record<string, string>>

/**
 * The settings of every session. The search path is not among them: the role's own says where the tables are, for
 * migrations and requests alike.
 */
export function pinnedSettings({ statementTimeoutMs, applicationName }: SessionOptions): Settings {
  return {
    application_name: applicationName,
    // Off, a null in a batch would be stored as the word NULL.
    array_nulls: 'on',
    bytea_output: 'hex',
    client_encoding: 'UTF8',
    client_min_messages: 'warning',
    DateStyle: 'ISO, MDY',
    default_transaction_deferrable: 'off',
    default_transaction_isolation: 'read committed',
    default_transaction_read_only: 'off',
    idle_in_transaction_session_timeout: String(statementTimeoutMs),
    IntervalStyle: 'postgres',
    jit: 'off',
    // Shorter, so that a locked row is told apart from a slow statement.
    lock_timeout: String(Math.ceil(statementTimeoutMs / 2)),
    // One plan per statement, whatever its parameters: none gains by another, and planning takes longer than most.
    plan_cache_mode: 'force_generic_plan',
    row_security: 'on',
    standard_conforming_strings: 'on',
    statement_timeout: String(statementTimeoutMs),
    TimeZone: 'UTC',
    transform_null_equals: 'off',
  }
}

/**
 * Sets every pinned setting and reads it back. Rejects when one does not hold, when the database is not in UTF-8, and when
 * the server only reads.
 */
export async function pinSession(session: Session, settings: Settings): Promise<void> {
  const entries = Object.entries(settings)
  await session.query(
    entries
      .map(([name, value]) => `select set_config('${name}', '${quote(value)}', false)`)
      .join(';'),
  )
  const names = entries.map(([name]) => `'${name}'`).join(', ')
  const rows = await session.query(
    `select name, setting from pg_settings where name in (${names}, 'server_encoding', 'transaction_read_only')`,
  )
  const held = new Map(rows.map(([name, value]) => [name, value]))
  if (held.get('server_encoding') !== 'UTF8') {
    throw new ConnectionError(
      'UNUSABLE_DATABASE',
      `The database is encoded in ${held.get('server_encoding')}; it must be UTF8`,
    )
  }
  for (const [name, value] of entries) {
    if (held.get(name) !== value) {
      throw new ConnectionError(
        'UNUSABLE_DATABASE',
        `Setting ${name} is "${held.get(name)}" after it was set to "${value}"`,
      )
    }
  }
  if (held.get('transaction_read_only') !== 'off') {
    throw new ConnectionError('25006', 'The server is a standby that only reads')
  }
}

/** Reported by PostgreSQL when they change; any other value than the pinned one ends the connection. */
export function isPinnedValue(settings: Settings, name: string, value: string): boolean {
  const pinned = settings[name]
  return pinned === undefined || pinned === value
}

function quote(text: string): string {
  return text.replaceAll("'", "''")
}
