// Runs in listeners. How parameters are written into a Bind message.
import { parseInstant } from './calendar.ts'
import { ConnectionError } from './error.ts'
import type { Outbox } from './outbox.ts'
import { ENCODING, type ValueType } from './types.ts'

/** What travels to PostgreSQL; times are RFC 3339 texts. */
export type Parameter = string | number | bigint | null

const UUID_TEXT_BYTES = 36
const UUID_BYTES = 16
const HYPHEN = 0x2d
const INT4_MIN = -(2 ** 31)
const INT4_MAX = 2 ** 31 - 1
const TWO_TO_32 = 2 ** 32

/** Value of each hexadecimal digit by its code, 255 for any other character. */
const HEX_VALUES = new Uint8Array(256).fill(255)
for (let value = 0; value < 16; value += 1) {
  const digit = value.toString(16)
  HEX_VALUES[digit.charCodeAt(0)] = value
  HEX_VALUES[digit.toUpperCase().charCodeAt(0)] = value
}

/** Appends length and bytes of one parameter; throws when it is no value of that type. */
export function writeParameter(out: Outbox, type: ValueType, value: Parameter): void {
  if (value === null) {
    out.int32(-1)
    return
  }
  switch (type.encoding) {
    case ENCODING.TEXT:
      writeText(out, typeof value === 'string' ? value : numberText(value))
      return
    case ENCODING.UUID:
      writeUuid(out, value)
      return
    case ENCODING.INT4:
      writeInt4(out, value)
      return
    case ENCODING.INT8:
      writeInt8(out, value)
      return
    default:
      writeInstant(out, value)
  }
}

function writeText(out: Outbox, value: string): void {
  const start = out.length
  out.int32(0)
  out.text(value)
  out.putInt32(start, out.length - start - 4)
}

function numberText(value: unknown): string {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw invalid('text')
  return String(value)
}

function writeUuid(out: Outbox, value: unknown): void {
  if (typeof value !== 'string' || value.length !== UUID_TEXT_BYTES) throw invalid('UUID')
  out.reserve(4 + UUID_BYTES)
  out.int32(UUID_BYTES)
  const { bytes } = out
  let at = out.length
  let unknown = 0
  for (let index = 0; index < UUID_TEXT_BYTES; index += 2) {
    if (index === 8 || index === 13 || index === 18 || index === 23) {
      if (value.charCodeAt(index) !== HYPHEN) throw invalid('UUID')
      index += 1
    }
    const high = hexValue(value.charCodeAt(index))
    const low = hexValue(value.charCodeAt(index + 1))
    unknown |= high | low
    bytes[at] = (high << 4) | low
    at += 1
  }
  if (unknown > 15) throw invalid('UUID')
  out.length = at
}

function hexValue(unit: number): number {
  return unit < 256 ? (HEX_VALUES[unit] as number) : 255
}

function writeInt4(out: Outbox, value: unknown): void {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw invalid('integer')
  if (value < INT4_MIN || value > INT4_MAX) throw invalid('integer')
  out.int32(4)
  out.int32(value)
}

function writeInt8(out: Outbox, value: unknown): void {
  out.int32(8)
  if (typeof value === 'bigint') {
    if (BigInt.asIntN(64, value) !== value) throw invalid('bigint')
    out.int32(Number(value >> 32n))
    out.int32(Number(BigInt.asIntN(32, value)))
    return
  }
  if (!Number.isSafeInteger(value)) throw invalid('bigint')
  const high = Math.floor((value as number) / TWO_TO_32)
  out.int32(high)
  out.int32(((value as number) - high * TWO_TO_32) | 0)
}

function writeInstant(out: Outbox, value: unknown): void {
  const instant = typeof value === 'string' ? parseInstant(value) : undefined
  if (instant === undefined) throw invalid('time')
  out.int32(8)
  out.int32(instant.high)
  out.int32(instant.low)
}

/** Does not quote the value, which is a user's. */
function invalid(kind: string): ConnectionError {
  return new ConnectionError('INVALID_PARAMETER', `A parameter is no valid ${kind}`)
}
