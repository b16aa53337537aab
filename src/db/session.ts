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

/** Bounds on what a statement may take: without them it is slower or noisier, and its answer is the same. */
const LIMITS: ReadonlySet<string> = new Set([
  'client_min_messages',
  'idle_in_transaction_session_timeout',
  'jit',
  'lock_timeout',
  'plan_cache_mode',
  'statement_timeout',
])

/** What poolers accept at the start of a connection, keep for it, and set on each session that they lend it. */
const KEPT_BY_POOLERS = [
  'application_name',
  'DateStyle',
  'standard_conforming_strings',
  'TimeZone',
] as const

/** The settings that go with the start-up message where there is no session to set anything on. */
export function startSettings(settings: Settings): Settings {
  return Object.fromEntries(KEPT_BY_POOLERS.map((name) => [name, settings[name] ?? '']))
}

/** Those that change what a text means or what a statement does. */
export function meaningSettings(settings: Settings): Settings {
  const entries = Object.entries(settings)
  return Object.fromEntries(
    // Poolers may add the client's address to the name.
    entries.filter(([name]) => !LIMITS.has(name) && name !== 'application_name'),
  )
}

/**
 * Sets every pinned setting and reads it back. Rejects when one does not hold, when the database is not in UTF-8, and when
 * the server only reads but must write.
 */
export async function pinSession(
  session: Session,
  settings: Settings,
  { mustWrite }: { mustWrite: boolean },
): Promise<void> {
  await session.query(
    Object.entries(settings)
      .map(([name, value]) => `select set_config('${name}', '${quote(value)}', false)`)
      .join(';'),
  )
  const held = await readSettings(session, settings)
  checkDatabase(held, mustWrite)
  for (const [name, value] of Object.entries(settings)) {
    if (held.get(name) !== value) {
      throw new ConnectionError(
        'UNUSABLE_DATABASE',
        `Setting ${name} is "${held.get(name)}" after it was set to "${value}"`,
      )
    }
  }
}

/**
 * Sets nothing. Rejects as `pinSession` does, for settings that change the meaning of a statement; answers the SQL that
 * would set the limits that differ.
 */
export async function checkSession(
  session: Session,
  settings: Settings,
  { mustWrite }: { mustWrite: boolean },
): Promise<string[]> {
  const held = await readSettings(session, settings)
  checkDatabase(held, mustWrite)
  const role = String(held.get('role')).replaceAll('"', '""')
  const repair = (name: string) =>
    `alter role "${role}" set ${name} = '${quote(settings[name] ?? '')}'`
  for (const [name, value] of Object.entries(meaningSettings(settings))) {
    if (held.get(name) !== value) {
      throw new ConnectionError(
        'UNUSABLE_DATABASE',
        `Setting ${name} is "${held.get(name)}" and must be "${value}": ${repair(name)}`,
      )
    }
  }
  return [...LIMITS].filter((name) => held.get(name) !== settings[name]).map(repair)
}

/** The settings in force, and the role that they can be set for. */
async function readSettings(
  session: Session,
  settings: Settings,
): Promise<Map<string, string | null>> {
  const names = [...Object.keys(settings), 'server_encoding', 'transaction_read_only']
  const rows = await session.query(
    `select name, setting from pg_settings where name in (${names.map((name) => `'${name}'`).join(', ')})
     union all select 'role', session_user::text`,
  )
  return new Map(rows.map(([name, value]) => [name ?? '', value ?? null]))
}

function checkDatabase(held: ReadonlyMap<string, string | null>, mustWrite: boolean): void {
  if (held.get('server_encoding') !== 'UTF8') {
    throw new ConnectionError(
      'UNUSABLE_DATABASE',
      `The database is encoded in ${held.get('server_encoding')}; it must be UTF8`,
    )
  }
  if (mustWrite && held.get('transaction_read_only') !== 'off') {
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
