// Runs in every process that talks to PostgreSQL. Protocol 3.0 of PostgreSQL: codes of messages, their lengths, and how
// their parts are read.

/** Codes of the messages that a server sends. */
export const MESSAGE = {
  PARSE_COMPLETE: 0x31, // 1
  BIND_COMPLETE: 0x32, // 2
  NOTIFICATION: 0x41, // A
  COMMAND_COMPLETE: 0x43, // C
  DATA_ROW: 0x44, // D
  ERROR: 0x45, // E
  EMPTY_QUERY: 0x49, // I
  BACKEND_KEY: 0x4b, // K
  NOTICE: 0x4e, // N
  AUTHENTICATION: 0x52, // R
  PARAMETER_STATUS: 0x53, // S
  ROW_DESCRIPTION: 0x54, // T
  READY_FOR_QUERY: 0x5a, // Z
  NO_DATA: 0x6e, // n
  PARAMETER_DESCRIPTION: 0x74, // t
} as const

/** Status of a ReadyForQuery outside a transaction. */
export const STATUS_IDLE = 0x49
export const STATUS_TRANSACTION = 0x54
export const STATUS_FAILED_TRANSACTION = 0x45

export const PROTOCOL_VERSION = 196_608
export const SSL_REQUEST = 80_877_103

/** PostgreSQL's own limit on the columns of a result. */
export const COLUMNS_MAX = 1664

/** Bytes before the body of a message: its code and its length. */
export const HEADER_BYTES = 5

/** Length fields (which count themselves) of messages that have only one; 0: no such message; -1: any. */
const LENGTHS = new Int32Array(256)
LENGTHS[MESSAGE.PARSE_COMPLETE] = 4
LENGTHS[MESSAGE.BIND_COMPLETE] = 4
LENGTHS[MESSAGE.NO_DATA] = 4
LENGTHS[MESSAGE.EMPTY_QUERY] = 4
LENGTHS[MESSAGE.READY_FOR_QUERY] = 5
LENGTHS[MESSAGE.BACKEND_KEY] = 12
LENGTHS[MESSAGE.NOTIFICATION] = -1
LENGTHS[MESSAGE.COMMAND_COMPLETE] = -1
LENGTHS[MESSAGE.DATA_ROW] = -1
LENGTHS[MESSAGE.ERROR] = -1
LENGTHS[MESSAGE.NOTICE] = -1
LENGTHS[MESSAGE.AUTHENTICATION] = -1
LENGTHS[MESSAGE.PARAMETER_STATUS] = -1
LENGTHS[MESSAGE.ROW_DESCRIPTION] = -1
LENGTHS[MESSAGE.PARAMETER_DESCRIPTION] = -1

/** True when a message of this code, which this client may get at all, can have this length field. */
export function isLegalLength(code: number, length: number, bytesMax: number): boolean {
  const legal = LENGTHS[code] as number
  return legal === -1 ? length >= 4 && length <= bytesMax : legal !== 0 && length === legal
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

/** Where the zero byte of a text is that starts at `start`, or -1 when there is none before `end`. */
export function cstringEnd(bytes: Buffer, start: number, end: number): number {
  const found = bytes.indexOf(0, start)
  return found >= 0 && found < end ? found : -1
}

export function readCstring(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, end)
}

/** Exactly `count` texts between `start` and `end`, or `undefined` when that is not what is there. */
export function readCstrings(
  bytes: Buffer,
  start: number,
  end: number,
  count: number,
): string[] | undefined {
  const texts: string[] = []
  let at = start
  while (texts.length < count) {
    const next = cstringEnd(bytes, at, end)
    if (next < 0) return undefined
    texts.push(readCstring(bytes, at, next))
    at = next + 1
  }
  return at === end ? texts : undefined
}
