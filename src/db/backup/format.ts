// Runs in the commands `backup` and `restore`. What the lines of a backup say: a header, the rows, and a last line that
// counts them and has the checksum of all lines before it.
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

export const FORMAT = 'taskapi-backup'
export const FORMAT_VERSION = 1

const Migration = Type.Object({ name: Type.String(), checksum: Type.String() })
const Header = Type.Object({
  format: Type.Literal(FORMAT),
  format_version: Type.Integer(),
  service_version: Type.String(),
  postgres_version: Type.String(),
  taken_at: Type.String(),
  migrations: Type.Array(Migration),
  tables: Type.Array(
    Type.Object({
      name: Type.String(),
      columns: Type.Array(Type.String(), { minItems: 1, uniqueItems: true }),
    }),
  ),
})
const Trailer = Type.Object({
  rows: Type.Record(Type.String(), Type.Integer()),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
})

export type Migration = Static<typeof Migration>
export type Header = Static<typeof Header>
export type Trailer = Static<typeof Trailer>

export interface Row {
  table: string
  /** As PostgreSQL's types read and write them as text, so that no number loses digits on its way. */
  row: Record<string, string | null>
}

/** Throws when the line is not the first one of a backup that this version can read. */
export function parseHeader(line: Buffer): Header {
  const value = parseJson(line)
  if ((value as { format?: unknown } | null)?.format !== FORMAT) {
    throw damaged(1, 'is not the header of a backup of taskapi')
  }
  const { format_version: version } = value as { format_version?: unknown }
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new Error(`The backup has format ${version}, of a newer version of taskapi`)
  }
  if (!Value.Check(Header, value)) throw damaged(1, 'is a damaged header')
  return value
}

/** Throws when the line is neither a row nor the trailer. */
export function parseLine(line: Buffer, number: number): Row | Trailer {
  const value = parseJson(line)
  if (isRow(value) || Value.Check(Trailer, value)) return value
  throw damaged(number, 'is neither a row nor the end of a backup')
}

/** By hand, because there are millions of them. */
function isRow(value: unknown): value is Row {
  if (typeof value !== 'object' || value === null || !('table' in value && 'row' in value)) {
    return false
  }
  const { table, row } = value
  if (typeof table !== 'string' || typeof row !== 'object' || row === null) return false
  return Object.values(row).every((field) => field === null || typeof field === 'string')
}

function parseJson(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}

/** Says where a file is not what a backup is. Never quotes it: it may be anything. */
export function damaged(line: number, reason: string): Error {
  return new Error(`Line ${line} ${reason}`)
}
