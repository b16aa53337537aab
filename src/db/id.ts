// Runs in listeners. Ids of new rows.
import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

const RANDOM_BYTES = 16
/** Asking for random bytes takes microseconds, however few they are, so one request serves many ids. */
const pool = new Uint8Array(256 * RANDOM_BYTES)
let used = pool.length

/** A UUID of version 7 (RFC 9562): unique, and in the order of time. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += RANDOM_BYTES
  return v7({ random: pool.subarray(used - RANDOM_BYTES, used) })
}
