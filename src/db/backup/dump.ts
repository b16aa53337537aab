// Runs in the command `backup`. Every row of one moment, as the lines of a backup.
import { createHash } from 'node:crypto'
import type { Address } from '../address.ts'
import { FORMAT, FORMAT_VERSION, type Header, type Migration, type Trailer } from './format.ts'
import { inTransaction, type Session } from './session.ts'
import { BACKED_UP, quoteName, readTables, type Table } from './tables.ts'

const READING = { mode: 'repeatable read, read only', applicationName: 'taskapi backup' } as const
const LINE_END = 0x0a

export interface DumpOptions {
  serviceVersion: string
  /** Called once, with what PostgreSQL believes to have; `undefined` when it has never counted. */
  onEstimate: (rows: number | undefined) => void
  onRows: (rows: number) => void
}

/**
 * Hands the lines to `write` no faster than it takes them, and resolves with the number of rows by table. Writers go on
 * meanwhile; what they commit after the start is not in the backup.
 */
export async function dump(
  address: Address,
  options: DumpOptions,
  write: (lines: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<Trailer['rows']> {
  const tables = await inTransaction(address, READING, readTables)
  const unaltered = tables.map(({ name }) => name)
  return inTransaction(address, { ...READING, unaltered }, async (session) => {
    const header = await readHeader(session, options.serviceVersion)
    options.onEstimate(await estimateRows(session, header.tables))
    const counts = Object.fromEntries(header.tables.map(({ name }) => [name, 0]))
    await write(readLines(session, header, counts, options.onRows))
    return counts
  })
}

/** @param counts of the rows of each table, which it adds to */
async function* readLines(
  session: Session,
  header: Header,
  counts: Record<string, number>,
  onRows: DumpOptions['onRows'],
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  const first = toLine(header)
  hash.update(first)
  yield first
  for (const table of header.tables) {
    for await (const lines of session.copyOut(copyText(table))) {
      const rows = countLines(lines)
      counts[table.name] = (counts[table.name] ?? 0) + rows
      onRows(rows)
      hash.update(lines)
      yield lines
    }
  }
  yield toLine({ rows: counts, sha256: hash.digest('hex') })
}

async function readHeader(session: Session, serviceVersion: string): Promise<Header> {
  const tables = await readTables(session)
  const [found] = await session.query<{ version: string; taken_at: string; records: boolean }>(`
    select current_setting('server_version') as version,
      to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as taken_at,
      to_regclass('schema_migrations') is not null as records`)
  if (!found?.records || tables.length === 0)
    throw new Error('The database has no tables of taskapi')
  return {
    format: FORMAT,
    format_version: FORMAT_VERSION,
    service_version: serviceVersion,
    postgres_version: found.version,
    taken_at: found.taken_at,
    migrations: await session.query<Migration>(
      'select name, checksum from schema_migrations order by name collate "C"',
    ),
    tables,
  }
}

async function estimateRows(session: Session, tables: readonly Table[]) {
  const names = tables.map(({ name }) => `to_regclass('${name}')`).join(', ')
  const [row] = await session.query<{ rows: string; counted: boolean }>(`
    select sum(reltuples)::bigint::text as rows, bool_and(reltuples >= 0) as counted
    from pg_class where oid in (${names})`)
  return row?.counted ? Number(row.rows) : undefined
}

/**
 * Each row as a line of JSON. JSON has no raw control characters, so with two of them for delimiter and quote, CSV has
 * nothing to quote, and the lines come as they are.
 */
function copyText({ name, columns }: Table): string {
  const order = BACKED_UP.find((table) => table.name === name)?.order
  const values = columns.map(quoteName).map((column) => `t.${column}::text as ${column}`)
  return `copy (
    select '{"table":"${name}","row":' || row_to_json(r)::text || '}'
    from (select ${values.join(', ')} from ${name} t order by ${order}) r
  ) to stdout (format csv, delimiter e'\\x02', quote e'\\x01')`
}

function countLines(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(LINE_END); at >= 0; at = bytes.indexOf(LINE_END, at + 1)) count += 1
  return count
}

function toLine(value: Header | Trailer): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`)
}
