// Runs in the command `restore`. Puts the rows of a backup into an empty database: all of them, or none.
import { createHash, type Hash } from 'node:crypto'
import type { Address } from '../address.ts'
import { requireColumns, requireKnownMigrations } from './compatibility.ts'
import { damaged, type Header, parseHeader, parseLine, type Trailer } from './format.ts'
import { type Line, splitLines } from './lines.ts'
import { createRowWriter } from './rows.ts'
import { inTransaction, type Session } from './session.ts'
import { quoteName, quoteText, readTables, type Table } from './tables.ts'

const WRITING = { mode: 'read committed, read write', applicationName: 'taskapi restore' } as const

export interface LoadOptions {
  /** The migrations that this version knows. */
  migrationsFolder: string
  /** Brings the database to this version. Called when the header is good and the database has no rows. */
  migrate: () => Promise<void>
  onRows: (rows: number) => void
}

/** Resolves with the number of rows by table. Rejects, and leaves the database without rows, when anything is wrong. */
export async function load(
  address: Address,
  input: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<Trailer['rows']> {
  const lines = splitLines(input)
  const hash = createHash('sha256')
  const header = await readHeader(lines, hash)
  requireKnownMigrations(header, options.migrationsFolder)
  // Before anything is migrated: a database that is in use is not to be touched at all.
  await inTransaction(address, WRITING, async (session) =>
    requireEmpty(session, await readTables(session)),
  )
  await options.migrate()
  return inTransaction(address, WRITING, async (session) => {
    const tables = await readTables(session)
    const names = tables.map(({ name }) => name).join(', ')
    // Whoever wants to write waits, so that what is empty stays empty.
    await session.query(`lock table ${names} in share row exclusive mode`)
    await requireEmpty(session, tables)
    requireColumns(header, tables)
    await setTriggers(session, tables, 'disable')
    const { rows } = await copyRows(session, header, lines, hash, options.onRows)
    await setTriggers(session, tables, 'enable')
    for (const { name } of header.tables) await requireCount(session, name, rows[name])
    for (const table of header.tables) await setSequences(session, table)
    await session.query(`analyze ${names}`)
    return rows
  })
}

async function readHeader(lines: AsyncGenerator<Line>, hash: Hash): Promise<Header> {
  const first = await lines.next()
  if (first.done) throw new Error('The file is empty')
  hash.update(first.value.bytes)
  return parseHeader(first.value.bytes)
}

async function requireEmpty(session: Session, tables: readonly Table[]): Promise<void> {
  for (const { name } of tables) {
    const rows = await session.query(`select from ${name} limit 1`)
    if (rows.length > 0) throw new Error(`The database is not empty: "${name}" has rows`)
  }
}

/** Triggers of the service have seen these rows before: they would delete, or change, what is to come back as it was. */
async function setTriggers(
  session: Session,
  tables: readonly Table[],
  state: 'disable' | 'enable',
): Promise<void> {
  for (const { name } of tables) await session.query(`alter table ${name} ${state} trigger user`)
}

/** Resolves with the last line, which has been compared with all lines before it. */
async function copyRows(
  session: Session,
  header: Header,
  lines: AsyncGenerator<Line>,
  hash: Hash,
  onRows: (rows: number) => void,
): Promise<Trailer> {
  const writer = createRowWriter(session, header.tables, onRows)
  let trailer: Trailer | undefined
  let last = 1
  for await (const { number, bytes } of lines) {
    if (trailer) throw damaged(number, 'is behind the end of the backup')
    last = number
    const value = parseLine(bytes, number)
    if ('table' in value) {
      hash.update(bytes)
      await writer.write(value, number)
    } else {
      trailer = value
    }
  }
  if (!trailer)
    throw damaged(last, 'is the last one, and not the end of a backup: the file is cut off')
  if (trailer.sha256 !== hash.digest('hex')) {
    throw damaged(last, 'has another checksum than the lines before it: one of them was changed')
  }
  const counts = await writer.end()
  for (const [name, count] of Object.entries(counts)) {
    if (trailer.rows[name] !== count)
      throw damaged(last, `counts other rows of "${name}" than there are`)
  }
  return trailer
}

/** What a rule or a policy of the database has done to the rows on their way. */
async function requireCount(session: Session, name: string, wanted: number | undefined) {
  const [row] = await session.query<{ count: string }>(
    `select count(*)::text as count from ${name}`,
  )
  if (Number(row?.count) !== wanted) {
    throw new Error(`The table "${name}" has ${row?.count} rows after ${wanted} were written`)
  }
}

/** Goes on where the numbers of the rows end. */
async function setSequences(session: Session, { name, columns }: Table): Promise<void> {
  const list = columns.map(quoteText).join(', ')
  const owned = await session.query<{ column: string; sequence: string }>(`
    select name as column, pg_get_serial_sequence('${name}', name) as sequence
    from unnest(array[${list}]) as name where pg_get_serial_sequence('${name}', name) is not null`)
  for (const { column, sequence } of owned) {
    await session.query(
      `select setval(${quoteText(sequence)}, max(${quoteName(column)})) from ${name}`,
    )
  }
}
