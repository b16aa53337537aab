// Runs in listeners and in the supervisor. How the collector of this process works.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options: { type: 'major'; execution: 'async'; flavor: 'last-resort' }) => unknown

/**
 * Lets collections of the young heap, some hundred a second, run on the thread that they stop: for so few objects, waking
 * helpers on other CPUs took longer than they save. Collections of the whole heap keep their helpers.
 */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge')
  setFlagsFromString('--no-concurrent-array-buffer-sweeping')
}

/**
 * Collects all garbage and the byte code of functions that only ran at the start; takes about 20 ms, once. V8 by itself
 * keeps both, a third of an idle listener's memory, until traffic has filled the heap around them.
 */
export function compactHeap(): void {
  // Byte code that was not used since the last collection goes, instead of that not used for six of them.
  setFlagsFromString('--bytecode-old-age=1')
  collector()({ type: 'major', execution: 'async', flavor: 'last-resort' })
  setTimeout(() => setFlagsFromString('--bytecode-old-age=6'), 1000).unref()
}

/** Listeners of a supervisor have it from `--expose-gc`; otherwise only a context made after the flag has it. */
function collector(): Collect {
  if (globalThis.gc) return globalThis.gc
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return collect
}
