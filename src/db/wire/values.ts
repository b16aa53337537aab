// Runs in listeners. Reads the columns of a row; the caller knows from the statement which type lies where.
import { readInt32 } from './protocol.ts'

/** Up to this length a loop over the bytes is cheaper than asking C++. */
const ASCII_LOOP_BYTES_MAX = 64
const TWO_TO_32 = 2 ** 32
const UUID_BYTES = 16
const UUID_TEXT_BYTES = 36
const HYPHEN = 0x2d
const SCRATCH = Buffer.alloc(UUID_TEXT_BYTES)

/** Both digits of each byte, the first in the lower half. */
const HEX_PAIRS = new Uint16Array(256)
for (let value = 0; value < 256; value += 1) {
  const pair = value.toString(16).padStart(2, '0')
  HEX_PAIRS[value] = pair.charCodeAt(0) | (pair.charCodeAt(1) << 8)
}

/** UTF-8 text. */
export function readText(bytes: Buffer, start: number, length: number): string {
  const end = start + length
  if (length <= ASCII_LOOP_BYTES_MAX && isAscii(bytes, start, end)) {
    return bytes.toString('latin1', start, end)
  }
  return bytes.toString('utf8', start, end)
}

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  let seen = 0
  for (let at = start; at < end; at += 1) seen |= bytes[at] as number
  return seen < 0x80
}

/** Binary `int4`. */
export function readInt4(bytes: Buffer, start: number): number {
  return readInt32(bytes, start)
}

/** Binary `int8`; throws for a value that a number cannot hold. */
export function readInt8(bytes: Buffer, start: number): number {
  const value = readInt32(bytes, start) * TWO_TO_32 + (readInt32(bytes, start + 4) >>> 0)
  if (!Number.isSafeInteger(value)) throw new RangeError('An int8 is too large for a number')
  return value
}

/** Binary `uuid` as text. */
export function readUuid(bytes: Buffer, start: number): string {
  writeUuid(SCRATCH, 0, bytes, start)
  return SCRATCH.toString('latin1', 0, UUID_TEXT_BYTES)
}

/** Writes a binary `uuid` as 36 bytes of text; answers where they end. */
export function writeUuid(
  target: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
): number {
  let to = at
  for (let index = 0; index < UUID_BYTES; index += 1) {
    if (index === 4 || index === 6 || index === 8 || index === 10) {
      target[to] = HYPHEN
      to += 1
    }
    const pair = HEX_PAIRS[bytes[start + index] as number] as number
    target[to] = pair & 0xff
    target[to + 1] = pair >> 8
    to += 2
  }
  return to
}
