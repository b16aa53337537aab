// Runs in every process that talks to PostgreSQL. Cuts what a server sends into messages, at whatever bytes the network
// has cut it before.
import { violation } from './error.ts'
import { HEADER_BYTES, isLegalLength, readInt32 } from './protocol.ts'

/** Gets one whole message; `start` and `end` enclose its body. The bytes are valid during the call only. */
export type TakeMessage = (code: number, bytes: Buffer, start: number, end: number) => void

const CARRY_BYTES = 4096

/**
 * Messages are handed out where they lie in the bytes that were read. Only one that is cut in two is copied, into a
 * buffer that grows with what has come, not with what its length announces.
 */
export class MessageReader {
  /** Who gets the messages; may be replaced between two of them. */
  take: TakeMessage
  /** The longest message that is accepted, in bytes. */
  messageBytesMax: number
  #stopped = false
  #carry: Buffer = Buffer.allocUnsafeSlow(CARRY_BYTES)
  #carried = 0

  constructor(messageBytesMax: number, take: TakeMessage) {
    this.messageBytesMax = messageBytesMax
    this.take = take
  }

  /** Hands out nothing more, not even what is left of the present bytes. */
  stop(): void {
    this.#stopped = true
  }

  /** Takes the first `end` bytes. Throws when they cannot be messages. */
  feed(bytes: Buffer, end: number): void {
    if (this.#stopped) return
    let at = this.#carried > 0 ? this.#completeCarried(bytes, end) : 0
    while (!this.#stopped && end - at >= HEADER_BYTES) {
      const next = at + this.#messageBytes(bytes, at)
      if (next > end) break
      this.take(bytes[at] as number, bytes, at + HEADER_BYTES, next)
      at = next
    }
    if (!this.#stopped && at < end) this.#carryOn(bytes, at, end)
  }

  /** Completes the message that was cut off before; answers how many of `bytes` that took. */
  #completeCarried(bytes: Buffer, end: number): number {
    let at = 0
    if (this.#carried < HEADER_BYTES) {
      at = Math.min(HEADER_BYTES - this.#carried, end)
      this.#carryOn(bytes, 0, at)
      if (this.#carried < HEADER_BYTES) return at
    }
    const total = this.#messageBytes(this.#carry, 0)
    const upTo = Math.min(at + total - this.#carried, end)
    this.#carryOn(bytes, at, upTo)
    if (this.#carried < total) return upTo
    const message = this.#carry
    this.#carried = 0
    if (message.length > CARRY_BYTES) this.#carry = Buffer.allocUnsafeSlow(CARRY_BYTES)
    this.take(message[0] as number, message, HEADER_BYTES, total)
    return upTo
  }

  #carryOn(bytes: Buffer, from: number, to: number): void {
    const needed = this.#carried + to - from
    if (needed > this.#carry.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#carry.length))
      this.#carry.copy(larger, 0, 0, this.#carried)
      this.#carry = larger
    }
    bytes.copy(this.#carry, this.#carried, from, to)
    this.#carried = needed
  }

  /** Bytes of the whole message whose header is at `at`. */
  #messageBytes(bytes: Buffer, at: number): number {
    const code = bytes[at] as number
    const length = readInt32(bytes, at + 1)
    if (!isLegalLength(code, length, this.messageBytesMax)) {
      throw violation(`PostgreSQL sent a message of code ${code} and length ${length}`)
    }
    return 1 + length
  }
}
