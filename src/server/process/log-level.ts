// Runs in the process that the user started, and in listeners. Changes what modules log while the service runs.
import { logLevels } from '../config/log-levels.ts'
import type { Log } from '../observe/log.ts'

/** Sets the levels that `text` means, as in `LOG_LEVEL`. Returns what is wrong with it, and then changes nothing. */
export function setLevels(log: Log, text: string): string | undefined {
  const parsed = logLevels.parse(text)
  if (!parsed) return `Expected ${logLevels.expected}; ${logLevels.explain?.(text)}`
  log.setLevels(parsed.value)
  return undefined
}
