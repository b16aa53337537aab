// Runs in the commands `backup`, `restore` and `seed`. Which tables a backup has, and what the catalog says about them.
import type { Session } from './session.ts'

interface BackedUpTable {
  name: string
  /** Its key, so that the rows of two backups have one order. Text must not be ordered by the locale of a database. */
  order: string
}

/** In the order in which foreign keys allow their rows to come back. */
export const BACKED_UP: readonly BackedUpTable[] = [
  { name: 'users', order: 't.id' },
  { name: 'tasks', order: 't.user_id, t.id' },
  { name: 'familiar_clients', order: 't.user_id, t.client collate "C"' },
]

/**
 * Failed logins are forgotten within an hour, and their keys depend on the secret; the migrations that a database has are
 * in the header of its backup.
 */
export const LEFT_OUT: readonly string[] = ['login_failures', 'schema_migrations']

export interface Table {
  name: string
  /** Those that are stored: what PostgreSQL generates, it generates again. */
  columns: string[]
}

/** The tables of the list that the database has, whatever version of the service has made them. */
export async function readTables(session: Session): Promise<Table[]> {
  const names = BACKED_UP.map(({ name }) => quoteText(name)).join(', ')
  const rows = await session.query<{ name: string; column: string }>(`
    select name, attname::text as column
    from unnest(array[${names}]) with ordinality as wanted (name, place)
    join pg_attribute on attrelid = to_regclass(name)
    where attnum > 0 and not attisdropped and attgenerated = ''
    order by place, attnum`)
  const tables = new Map<string, string[]>()
  for (const { name, column } of rows) tables.set(name, [...(tables.get(name) ?? []), column])
  return [...tables].map(([name, columns]) => ({ name, columns }))
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
