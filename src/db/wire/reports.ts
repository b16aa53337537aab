// Runs in every process that talks to PostgreSQL. What PostgreSQL reports at any time, asked or not.
import { malformed } from './descriptions.ts'
import { type ConnectionError, type PostgresError, readReport, violation } from './error.ts'
import { MESSAGE, readCstrings } from './protocol.ts'

export interface Reports {
  onParameter?: (name: string, value: string) => void
  onNotice?: (notice: PostgresError) => void
  onNotification?: (channel: string, payload: string) => void
}

/** Takes a message that is legal at any time; throws for any other. */
export function takeReport(
  reports: Reports,
  code: number,
  bytes: Buffer,
  start: number,
  end: number,
): void {
  if (code === MESSAGE.NOTICE) {
    const notice = readReport(bytes, start, end)
    reports.onNotice?.(notice)
  } else if (code === MESSAGE.PARAMETER_STATUS) {
    const [name, value] = readCstrings(bytes, start, end, 2) ?? []
    if (name === undefined || value === undefined) throw malformed('parameter status')
    reports.onParameter?.(name, value)
  } else if (code === MESSAGE.NOTIFICATION) {
    const [channel, payload] = readCstrings(bytes, Math.min(start + 4, end), end, 2) ?? []
    if (channel === undefined || payload === undefined) throw malformed('notification')
    reports.onNotification?.(channel, payload)
  } else {
    throw unexpected(code)
  }
}

export function unexpected(code: number): ConnectionError {
  return violation(`PostgreSQL sent a message of code ${code} that nothing waits for`)
}
