// Runs in every process that talks to PostgreSQL. Bytes that wait for being sent: one buffer, written over and over.
import { ConnectionError } from './error.ts'

const BASE_BYTES = 65_536
/** A JavaScript text has at most this many UTF-8 bytes for each of its units. */
const UTF8_BYTES_PER_UNIT_MAX = 3
/** Up to this length a loop over the units is cheaper than a call into C++. */
const LOOP_UNITS_MAX = 48

export class Outbox {
  bytes: Buffer = Buffer.allocUnsafeSlow(BASE_BYTES)
  length = 0
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Makes room for `count` bytes more; throws when that is over the limit. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    if (needed > this.#bytesMax) {
      throw new ConnectionError(
        'SEND_QUEUE_FULL',
        'Too many bytes wait for PostgreSQL to read them',
      )
    }
    const larger = Buffer.allocUnsafeSlow(
      Math.max(needed, Math.min(2 * this.bytes.length, this.#bytesMax)),
    )
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }

  /** Appends constant bytes. */
  append(part: Uint8Array): void {
    this.reserve(part.length)
    this.bytes.set(part, this.length)
    this.length += part.length
  }

  int32(value: number): void {
    this.reserve(4)
    this.putInt32(this.length, value)
    this.length += 4
  }

  putInt32(at: number, value: number): void {
    const bytes = this.bytes
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
  }

  /**
   * Appends a text as UTF-8, without length or end; half a surrogate pair becomes U+FFFD. Throws for one with a NUL,
   * which PostgreSQL cannot keep.
   */
  text(value: string): void {
    const units = value.length
    if (units <= LOOP_UNITS_MAX) {
      this.reserve(units)
      if (this.#shortAscii(value, units)) return
    }
    if (value.includes('\0')) {
      throw new ConnectionError('INVALID_PARAMETER', 'A text for PostgreSQL holds a NUL character')
    }
    // Close to the limit, or for a long text, it is worth to count before.
    const most = units * UTF8_BYTES_PER_UNIT_MAX
    this.reserve(most <= this.bytes.length - this.length ? most : Buffer.byteLength(value))
    this.length += this.bytes.write(value, this.length, 'utf8')
  }

  #shortAscii(value: string, units: number): boolean {
    const { bytes, length } = this
    for (let index = 0; index < units; index += 1) {
      const unit = value.charCodeAt(index)
      // Zero wraps around to the top: one comparison refuses NUL and everything beyond ASCII.
      if ((unit - 1) >>> 0 >= 0x7f) return false
      bytes[length + index] = unit
    }
    this.length = length + units
    return true
  }

  /** Ends with a fresh buffer, because the old one now belongs to the socket. */
  release(): void {
    this.bytes = Buffer.allocUnsafeSlow(BASE_BYTES)
    this.length = 0
  }

  /** Ends with the same buffer, unless it has grown. */
  clear(): void {
    if (this.bytes.length > BASE_BYTES) this.bytes = Buffer.allocUnsafeSlow(BASE_BYTES)
    this.length = 0
  }
}
