// Runs in listeners and in `openapi`. Times as text: Date would lose the microseconds that PostgreSQL keeps.

const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:[Zz]|[+-](\d{2}):(\d{2}))$/
const EARLIEST_MS = Date.parse('0001-01-01T00:00:00Z')
const LATEST_MS = Date.parse('9999-12-31T23:59:58Z')
/** PostgreSQL fails on a longer offset from UTC; no zone has ever had one. */
const OFFSET_HOUR_MAX = 15

/**
 * True for an RFC 3339 date-time that names a real instant from 0001-01-01T00:00:00Z to 9999-12-31T23:59:58Z,
 * which four-digit years can show even after rounding. Leap seconds are refused: PostgreSQL cannot keep them.
 * Fractions may have nine digits; PostgreSQL rounds to six.
 */
export function isInstant(text: string): boolean {
  const match = INSTANT.exec(text)
  if (!match) return false
  const [, year, month, day, hour, minute, second, offsetHour = '0', offsetMinute = '0'] = match
  // Also when the offset would lift it into year 1: PostgreSQL has no year 0.
  if (Number(year) < 1) return false
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return false
  if (Number(offsetHour) > OFFSET_HOUR_MAX || Number(offsetMinute) > 59) return false
  if (Number(day) < 1 || Number(day) > daysInMonth(Number(year), Number(month))) return false
  const epochMs = Date.parse(text.replace(/\.\d+/, '').toUpperCase())
  return epochMs >= EARLIEST_MS && epochMs <= LATEST_MS
}

/** `2026-11-22 07:19:06.123456+00`, as PostgreSQL writes it in UTC, to `2026-11-22T07:19:06.123456Z`. */
export function formatInstant(text: string): string {
  return `${text.slice(0, 10)}T${text.slice(11, -3)}Z`
}

function daysInMonth(year: number, month: number): number {
  if (month < 1 || month > 12) return 0
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  return days[month - 1] ?? 0
}
