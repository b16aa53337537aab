// Runs in listeners. Binary `timestamptz` (microseconds since 2000-01-01, 64 bits) to RFC 3339 text and back. Numbers
// hold 53 bits, BigInt is slow: the two halves are divided one after the other.

const MICROS_PER_SECOND = 1_000_000
const SECONDS_PER_DAY = 86_400
const TWO_TO_16 = 65_536
const TWO_TO_32 = 2 ** 32
const DAYS_PER_400_YEARS = 146_097
/** From 0000-03-01 to 2000-01-01. Years are counted from March, so that a leap day is the last of its year. */
const DAYS_TO_2000 = 730_425
const HIGH_MAX = 0x7fffffff
const HIGH_MIN = -0x80000000

const ZERO = 0x30
const SCRATCH = Buffer.alloc(64)

/** The longest text that `writeInstant` writes, in bytes. */
export const INSTANT_BYTES_MAX = 34

/** The last date that was written, and its text: the rows of a list are often of one day. */
let lastDays = Number.NaN
let lastDate = Buffer.alloc(0)

export interface BinaryInstant {
  high: number
  low: number
}

/**
 * Writes the time of these two halves as `2026-11-22T07:19:06.123456Z`, without the zeros at the end of the fraction,
 * to `target` at `at`; answers where it ends. Infinity stays `infinity`.
 */
export function writeInstant(target: Uint8Array, at: number, high: number, low: number): number {
  if (high === HIGH_MAX && low === -1) return writeAscii(target, at, 'infinity')
  if (high === HIGH_MIN && low === 0) return writeAscii(target, at, '-infinity')
  const quotient = Math.floor(high / MICROS_PER_SECOND)
  const rest = (high - quotient * MICROS_PER_SECOND) * TWO_TO_32 + (low >>> 0)
  const restSeconds = Math.floor(rest / MICROS_PER_SECOND)
  const micros = rest - restSeconds * MICROS_PER_SECOND
  const seconds = quotient * TWO_TO_32 + restSeconds
  const days = Math.floor(seconds / SECONDS_PER_DAY)
  if (days !== lastDays) rememberDate(days)
  target.set(lastDate, at)
  return writeTime(target, at + lastDate.length, seconds - days * SECONDS_PER_DAY, micros)
}

/** The text of a binary `timestamptz` at `start`. */
export function readInstant(bytes: Buffer, start: number): string {
  const end = writeInstant(SCRATCH, 0, bytes.readInt32BE(start), bytes.readInt32BE(start + 4))
  return SCRATCH.toString('latin1', 0, end)
}

function writeTime(target: Uint8Array, start: number, second: number, micros: number): number {
  const minute = (second / 60) | 0
  const hour = (minute / 60) | 0
  target[start] = 0x54
  writeTwo(target, start + 1, hour)
  target[start + 3] = 0x3a
  writeTwo(target, start + 4, minute - 60 * hour)
  target[start + 6] = 0x3a
  writeTwo(target, start + 7, second - 60 * minute)
  const at = micros === 0 ? start + 9 : writeFraction(target, start + 9, micros)
  target[at] = 0x5a
  return at + 1
}

function writeFraction(target: Uint8Array, start: number, micros: number): number {
  target[start] = 0x2e
  const thousands = (micros / 10_000) | 0
  const rest = micros - 10_000 * thousands
  const hundreds = (rest / 100) | 0
  writeTwo(target, start + 1, thousands)
  writeTwo(target, start + 3, hundreds)
  writeTwo(target, start + 5, rest - 100 * hundreds)
  let end = start + 7
  while (target[end - 1] === ZERO) end -= 1
  return end
}

/** `value` is below 100. */
function writeTwo(target: Uint8Array, at: number, value: number): void {
  const tens = (value / 10) | 0
  target[at] = ZERO + tens
  target[at + 1] = ZERO + value - 10 * tens
}

function writeAscii(target: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index += 1) target[at + index] = text.charCodeAt(index)
  return at + text.length
}

function rememberDate(days: number): void {
  const shifted = days + DAYS_TO_2000
  const era = Math.floor(shifted / DAYS_PER_400_YEARS)
  const dayOfEra = shifted - era * DAYS_PER_400_YEARS
  const leapDays = floor(dayOfEra, 1460) - floor(dayOfEra, 36_524) + floor(dayOfEra, 146_096)
  const yearOfEra = floor(dayOfEra - leapDays, 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + floor(yearOfEra, 4) - floor(yearOfEra, 100))
  const monthFromMarch = floor(5 * dayOfYear + 2, 153)
  const day = dayOfYear - floor(153 * monthFromMarch + 2, 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  const year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  lastDate = Buffer.from(`${yearText(year)}-${twoDigits(month)}-${twoDigits(day)}`)
  lastDays = days
}

/** Years that RFC 3339 cannot show come as ISO 8601 has them, with a sign and more digits. */
function yearText(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, '0')
  return `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(6, '0')}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

function floor(dividend: number, divisor: number): number {
  return Math.floor(dividend / divisor)
}

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:[Zz]|([+-])(\d\d):(\d\d))$/

/** The halves of a valid RFC 3339 text, rounded to microseconds as PostgreSQL does; `undefined` for another text. */
export function parseInstant(text: string): BinaryInstant | undefined {
  if (text === 'infinity') return { high: HIGH_MAX, low: -1 }
  if (text === '-infinity') return { high: HIGH_MIN, low: 0 }
  const match = RFC_3339.exec(text)
  if (!match) return undefined
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHour, offsetMinute] = match
  const days = daysSince2000(Number(year), Number(month), Number(day))
  if (days === undefined || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) {
    return undefined
  }
  const ofDay = Number(hour) * 3600 + Number(minute) * 60 + Number(second)
  const offset = sign ? Number(offsetHour) * 3600 + Number(offsetMinute) * 60 : 0
  const seconds = days * SECONDS_PER_DAY + ofDay - (sign === '-' ? -offset : offset)
  return toHalves(seconds, fraction ? roundHalfEven(Number(fraction) * MICROS_PER_SECOND) : 0)
}

function daysSince2000(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  const fromMarch = month <= 2 ? year - 1 : year
  const era = floor(fromMarch, 400)
  const yearOfEra = fromMarch - era * 400
  const dayOfYear = floor(153 * ((month + 9) % 12) + 2, 5) + day - 1
  const dayOfEra = yearOfEra * 365 + floor(yearOfEra, 4) - floor(yearOfEra, 100) + dayOfYear
  return era * DAYS_PER_400_YEARS + dayOfEra - DAYS_TO_2000
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

function toHalves(seconds: number, micros: number): BinaryInstant {
  const upper = floor(seconds, TWO_TO_16)
  const lower = (seconds - upper * TWO_TO_16) * MICROS_PER_SECOND + micros
  const carried = upper * MICROS_PER_SECOND + floor(lower, TWO_TO_16)
  const high = floor(carried, TWO_TO_16)
  const low = (carried - high * TWO_TO_16) * TWO_TO_16 + (lower % TWO_TO_16)
  return { high, low: low | 0 }
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value)
  const part = value - below
  if (part !== 0.5) return Math.round(value)
  return below % 2 === 0 ? below : below + 1
}
