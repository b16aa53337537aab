// Runs in the process that the user started: how far a command is, on standard error when that is a terminal.
import { countOf, formatCount } from './count.ts'

const REDRAW_MS = 250
/** Back to the start of the line, and delete it. */
const CLEAR = '\r\x1b[K'

export interface Progress {
  add(rows: number): void
  /** Deletes the line that shows it. */
  stop(): void
}

/** @param readShare what is done of the whole, from 0 to 1, or `undefined` when nobody knows */
export function showProgress(readShare: (rows: number) => number | undefined): Progress {
  const { stderr } = process
  const startMs = performance.now()
  let rows = 0
  const draw = () => {
    const elapsedMs = performance.now() - startMs
    stderr.write(`${CLEAR}${renderProgress({ rows, elapsedMs, share: readShare(rows) })}`)
  }
  const timer = stderr.isTTY ? setInterval(draw, REDRAW_MS).unref() : undefined
  return {
    add: (count) => {
      rows += count
    },
    stop: () => {
      if (!timer) return
      clearInterval(timer)
      stderr.write(CLEAR)
    },
  }
}

export interface ProgressState {
  rows: number
  elapsedMs: number
  share: number | undefined
}

/** `1,200 rows, 400 rows/s, 50 %`. */
export function renderProgress({ rows, elapsedMs, share }: ProgressState): string {
  const rate = Math.round(rows / Math.max(1, elapsedMs / 1000))
  const parts = [`${formatCount(rows)} rows`, `${formatCount(rate)} rows/s`]
  // What is whole says so itself; an estimate can be too low.
  if (share !== undefined) parts.push(`${Math.min(99, Math.floor(share * 100))} %`)
  return parts.join(', ')
}

/** `1,200 users, 3 tasks`. */
export function describeRows(rows: Readonly<Record<string, number>>): string {
  const parts = Object.entries(rows).map(([table, count]) => countOf(count, table))
  return parts.join(', ')
}
