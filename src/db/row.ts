// Runs in listeners. The rows of an answer as they come from PostgreSQL: bytes that become JSON in one pass, or values.
import { INSTANT_BYTES_MAX, readInstant, writeInstant } from './wire/calendar.ts'
import { readInt32 } from './wire/protocol.ts'
import { readText, readUuid, writeUuid } from './wire/values.ts'

/** The types of columns: enums come as text. */
export type ColumnType = 'uuid' | 'text' | 'int' | 'timestamptz'

/** With a question mark where it can be null in a row that is there. */
export type Column = ColumnType | `${ColumnType}?`

/**
 * The columns of a row in their order, behind the number of the call, which is column 0.
 * `tests/db/statement-types.test.ts` compares them with what PostgreSQL says.
 */
export type Columns = Readonly<Record<string, Column>>

/** What `readRow` makes of such columns. */
export type Row<Of extends Columns> = { -readonly [Name in keyof Of]: Value<Of[Name]> }

type Value<Of extends Column> =
  | (Of extends `${string}?` ? null : never)
  | (Of extends 'int' | 'int?' ? number : string)

/** The columns that such an object can be read from. */
export type ColumnsOf<Fields> = { readonly [Name in keyof Fields]: ColumnOf<Fields[Name]> }

type ColumnOf<Field> = null extends Field
  ? `${TypeOf<NonNullable<Field>>}?`
  : TypeOf<NonNullable<Field>>

type TypeOf<Field> = Field extends number ? 'int' : Exclude<ColumnType, 'int'>

const QUOTE = 0x22
const BACKSLASH = 0x5c
const FIRST_PRINTABLE = 0x20
/** A control character takes six bytes of JSON. */
const ESCAPED_BYTES_MAX = 6
const UUID_TEXT_BYTES = 36
/** Up to this length a loop over the bytes is cheaper than a call into C++. */
const LOOP_BYTES_MAX = 48
const INT_TEXT_BYTES_MAX = 11
const NULL = Buffer.from('null')
/** RFC 8259, section 7: the characters that have a short form, as JSON.stringify writes them. */
const SHORT_ESCAPES = new Map([
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
  [QUOTE, '"'],
  [BACKSLASH, '\\'],
])
const ESCAPES = Array.from({ length: 256 }, (_, code) => {
  const short = SHORT_ESCAPES.get(code)
  if (short) return Buffer.from(`\\${short}`)
  if (code < FIRST_PRINTABLE) return Buffer.from(`\\u${code.toString(16).padStart(4, '0')}`)
  return undefined
})

/** JSON that is being written. */
export class JsonBuffer {
  bytes: Buffer
  length = 0

  constructor(bytesFirst: number) {
    this.bytes = Buffer.allocUnsafe(bytesFirst)
  }

  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.length + count, 2 * this.bytes.length))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }

  append(part: Uint8Array): void {
    this.reserve(part.length)
    if (part.length > LOOP_BYTES_MAX) {
      this.bytes.set(part, this.length)
    } else {
      const { bytes, length } = this
      for (let at = 0; at < part.length; at += 1) bytes[length + at] = part[at] as number
    }
    this.length += part.length
  }

  /** Appends text that is ASCII and needs no escapes. */
  ascii(text: string): void {
    this.reserve(text.length)
    this.length += this.bytes.write(text, this.length, 'latin1')
  }

  /** Appends UTF-8 text as a string of JSON. */
  text(from: Uint8Array, start: number, length: number): void {
    this.reserve(ESCAPED_BYTES_MAX * length + 2)
    const { bytes } = this
    let to = this.length
    bytes[to] = QUOTE
    to += 1
    for (let at = start; at < start + length; at += 1) {
      const byte = from[at] as number
      if (byte >= FIRST_PRINTABLE && byte !== QUOTE && byte !== BACKSLASH) {
        bytes[to] = byte
        to += 1
      } else {
        const escape = ESCAPES[byte] as Buffer
        bytes.set(escape, to)
        to += escape.length
      }
    }
    bytes[to] = QUOTE
    this.length = to + 1
  }

  uuid(from: Uint8Array, start: number): void {
    this.reserve(UUID_TEXT_BYTES + 2)
    this.bytes[this.length] = QUOTE
    const end = writeUuid(this.bytes, this.length + 1, from, start)
    this.bytes[end] = QUOTE
    this.length = end + 1
  }

  instant(from: Uint8Array, start: number): void {
    this.reserve(INSTANT_BYTES_MAX + 2)
    this.bytes[this.length] = QUOTE
    const [high, low] = [readInt32(from, start), readInt32(from, start + 4)]
    const end = writeInstant(this.bytes, this.length + 1, high, low)
    this.bytes[end] = QUOTE
    this.length = end + 1
  }

  /** What has been written, as bytes that stay as they are. */
  copy(): Buffer {
    const copy = Buffer.allocUnsafe(this.length)
    this.bytes.copy(copy, 0, 0, this.length)
    return copy
  }
}

/** Writes rows as the members of an object, from `,"name":` on for each column. */
export interface MembersWriter {
  write(out: JsonBuffer, bytes: Buffer, fields: Int32Array): void
}

interface Member {
  prefix: Buffer
  type: ColumnType
}

/** @param from the first of the columns that become members */
export function membersWriter(columns: Columns, from = 0): MembersWriter {
  const members = Object.entries(columns).map(
    ([name, column]): Member => ({
      prefix: Buffer.from(`,${JSON.stringify(name)}:`),
      type: typeOf(column),
    }),
  )
  return {
    write: (out, bytes, fields) => {
      for (let index = from; index < members.length; index += 1) {
        const { prefix, type } = members[index] as Member
        out.append(prefix)
        // Column 0 is the number of the call.
        writeValue(out, type, bytes, fields, index + 1)
      }
    },
  }
}

function writeValue(
  out: JsonBuffer,
  type: ColumnType,
  bytes: Buffer,
  fields: Int32Array,
  column: number,
): void {
  const start = fields[2 * column] as number
  const length = fields[2 * column + 1] as number
  if (length < 0) {
    out.append(NULL)
    return
  }
  switch (type) {
    case 'text':
      out.text(bytes, start, length)
      return
    case 'timestamptz':
      out.instant(bytes, start)
      return
    case 'uuid':
      out.uuid(bytes, start)
      return
    case 'int':
      out.reserve(INT_TEXT_BYTES_MAX)
      out.ascii(String(readInt32(bytes, start)))
  }
}

export function typeOf(column: Column): ColumnType {
  return (column.endsWith('?') ? column.slice(0, -1) : column) as ColumnType
}

export function isNull(fields: Int32Array, column: number): boolean {
  return (fields[2 * column + 1] as number) < 0
}

/** The row as values by name; times are RFC 3339 texts. */
export function readRow<Of extends Columns>(
  columns: Of,
  bytes: Buffer,
  fields: Int32Array,
): Row<Of> {
  const row: Record<string, string | number | null> = {}
  let number = 0
  for (const [name, column] of Object.entries(columns)) {
    number += 1
    row[name] = readValue(typeOf(column), bytes, fields, number)
  }
  return row as Row<Of>
}

export function readValue(
  type: ColumnType,
  bytes: Buffer,
  fields: Int32Array,
  column: number,
): string | number | null {
  const start = fields[2 * column] as number
  const length = fields[2 * column + 1] as number
  if (length < 0) return null
  switch (type) {
    case 'text':
      return readText(bytes, start, length)
    case 'timestamptz':
      return readInstant(bytes, start)
    case 'uuid':
      return readUuid(bytes, start)
    case 'int':
      return readInt32(bytes, start)
  }
}
