// Runs in every process that talks to PostgreSQL. Checks what PostgreSQL says about a statement against what the
// statement declares.
import { ConnectionError, violation } from './error.ts'
import { COLUMNS_MAX, cstringEnd, readInt32, readUint16 } from './protocol.ts'
import type { Statement } from './statement.ts'

/** The number at the end of a tag, such as the 2 of "INSERT 0 2"; -1 when there is none. */
export function readCount(bytes: Buffer, start: number, end: number): number {
  if (end - start < 2 || bytes.indexOf(0, start) !== end - 1) throw malformed('command tag')
  let count = 0
  let unit = 1
  let at = end - 2
  for (; at > start && isDigit(bytes[at] as number); at -= 1) {
    count += unit * ((bytes[at] as number) - 0x30)
    unit *= 10
  }
  return unit > 1 && bytes[at] === 0x20 ? count : -1
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

export function checkParameters(
  statement: Statement | undefined,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  const declared = statement?.parameters ?? []
  const count = end - start >= 2 ? readUint16(bytes, start) : -1
  if (end - start !== 2 + 4 * count) throw malformed('parameter description')
  if (count !== declared.length) throw mismatch(statement, `has ${count} parameters`)
  for (const [index, { oid }] of declared.entries()) {
    const actual = readInt32(bytes, start + 2 + 4 * index) >>> 0
    if (oid !== 0 && oid !== actual) {
      throw mismatch(statement, `has type ${actual} as parameter ${index + 1}`)
    }
  }
}

/** Bytes of a column's description behind its name: table, number, type, size, modifier, format. */
const COLUMN_BYTES = 18
const TYPE_OFFSET = 6
const FORMAT_OFFSET = 16

/** Checks a RowDescription; answers the number of columns. `asText`: before formats are chosen all are 0. */
export function describeColumns(
  statement: Statement | undefined,
  asText: boolean,
  bytes: Buffer,
  start: number,
  end: number,
): number {
  const count = end - start >= 2 ? readUint16(bytes, start) : -1
  if (count < 0 || count > COLUMNS_MAX) throw malformed('row description')
  if (statement && count !== statement.columns.length) {
    throw mismatch(statement, `returns ${count} columns`)
  }
  let at = start + 2
  for (let index = 0; index < count; index += 1) {
    at = cstringEnd(bytes, at, end) + 1
    if (at === 0 || at + COLUMN_BYTES > end) throw malformed('row description')
    const type = statement?.columns[index]
    const oid = readInt32(bytes, at + TYPE_OFFSET) >>> 0
    if (type && type.oid !== 0 && type.oid !== oid) {
      throw mismatch(statement, `returns type ${oid} as column ${index + 1}`)
    }
    const format = asText || !type ? 0 : type.format
    if (readUint16(bytes, at + FORMAT_OFFSET) !== format) throw malformed('row description')
    at += COLUMN_BYTES
  }
  if (at !== end) throw malformed('row description')
  return count
}

export function malformed(what: string): ConnectionError {
  return violation(`PostgreSQL sent a malformed ${what}`)
}

export function mismatch(statement: Statement | undefined, actual: string): ConnectionError {
  const name = statement?.name || 'without name'
  return new ConnectionError('STATEMENT_MISMATCH', `In this database statement ${name} ${actual}`)
}
