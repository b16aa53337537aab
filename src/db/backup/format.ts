// Runs in the commands `backup` and `restore`. What the lines of a backup say: a header, the rows, and a last line that
// counts them and has the checksum of all lines before it. Checked by hand: the schema library would share its code with
// the listeners, in the bundle, and make each of them larger.

export const FORMAT = 'taskapi-backup'
export const FORMAT_VERSION = 1

export interface Header {
  format: typeof FORMAT
  format_version: number
  service_version: string
  postgres_version: string
  taken_at: string
  migrations: Migration[]
  /** In the order of their rows. */
  tables: { name: string; columns: string[] }[]
}

export interface Migration {
  name: string
  checksum: string
}

export interface Row {
  table: string
  /** As PostgreSQL's types read and write them as text, so that no number loses digits on its way. */
  row: Record<string, string | null>
}

export interface Trailer {
  /** How many there are, by table. */
  rows: Record<string, number>
  sha256: string
}

/** Throws when the line is not the first one of a backup that this version can read. */
export function parseHeader(line: Buffer): Header {
  const value = parseJson(line)
  if (!isRecord(value) || value.format !== FORMAT) {
    throw damaged(
      1,
      'is not the header of a backup of taskapi; npm without -s writes lines before it',
    )
  }
  const { format_version: version } = value
  if (typeof version === 'number' && version > FORMAT_VERSION) {
    throw new Error(`The backup has format ${version}, of a newer version of taskapi`)
  }
  if (!isHeader(value)) throw damaged(1, 'is a damaged header')
  return value
}

/** Throws when the line is neither a row nor the trailer. */
export function parseLine(line: Buffer, number: number): Row | Trailer {
  const value = parseJson(line)
  if (isRow(value) || isTrailer(value)) return value
  throw damaged(number, 'is neither a row nor the end of a backup')
}

/** Says where a file is not what a backup is. Never quotes it: it may be anything. */
export function damaged(line: number, reason: string): Error {
  return new Error(`Line ${line} ${reason}`)
}

/** What only people read is not checked. */
function isHeader(value: Record<string, unknown>): value is Record<string, unknown> & Header {
  const { format_version, service_version, migrations, tables } = value
  return (
    format_version === FORMAT_VERSION &&
    typeof service_version === 'string' &&
    isListOf(migrations, ({ name, checksum }) => isText(name) && isText(checksum)) &&
    isListOf(tables, ({ name, columns }) => {
      return isText(name) && Array.isArray(columns) && columns.length > 0 && columns.every(isText)
    })
  )
}

function isRow(value: unknown): value is Row {
  if (!isRecord(value) || !isText(value.table) || !isRecord(value.row)) return false
  return Object.values(value.row).every((field) => field === null || isText(field))
}

function isTrailer(value: unknown): value is Trailer {
  if (!isRecord(value) || !isText(value.sha256) || !isRecord(value.rows)) return false
  return Object.values(value.rows).every(Number.isInteger)
}

function isListOf(value: unknown, fits: (item: Record<string, unknown>) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => isRecord(item) && fits(item))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function parseJson(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}
