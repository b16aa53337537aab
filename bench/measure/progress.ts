// Shows that a long run is alive: a bar on a terminal, plain lines elsewhere.
import { SingleBar } from 'cli-progress'

export interface Progress {
  step(label: string): void
  /** A line that stays. */
  note(text: string): void
  stop(): void
}

export function createProgress(total: number): Progress {
  if (!process.stderr.isTTY) {
    let done = 0
    return {
      step: (label) => {
        done += 1
        process.stderr.write(`[${done}/${total}] ${label}\n`)
      },
      note: (text) => process.stderr.write(`${text}\n`),
      stop: () => undefined,
    }
  }
  const format = '{bar} {value}/{total} {eta_formatted} left  {label}'
  const bar = new SingleBar({
    format,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  })
  bar.start(total, 0, { label: '' })
  return {
    step: (label) => bar.increment(1, { label }),
    note: (text) => process.stderr.write(`\r\u001b[K${text}\n`),
    stop: () => bar.stop(),
  }
}
