// Runs in listeners and in the supervisor. How the heap of this process is collected.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Largest half of V8's young generation in a listener. With V8's own limit of 16, memory under load nearly doubles
 * (lists: 53 MB against 30) and no more requests are answered; with 1, a tenth fewer lists are answered.
 */
export const SEMI_SPACE_MIB_MAX = 2

/**
 * Options of Node for a process that serves. The supervisor gives them to its listeners; a listener that runs alone needs
 * them on its command line, and `npm run docs` writes them wherever that is spelled out. It cannot set the limit itself:
 * V8 reads it when it makes the heap, and setting the flag later changes nothing (53 MB again). The growth factor of the
 * young generation can be set later, but then acts like a limit of 1 (43 MB, and a fifth fewer lists). Replacing the
 * process (`process.execve`) works, but takes 29 ms at every start and an interface of Node that is still experimental.
 */
export const V8_FLAGS: readonly string[] = [`--max-semi-space-size=${SEMI_SPACE_MIB_MAX}`]

interface Collection {
  type: 'minor' | 'major'
  execution: 'sync' | 'async'
  flavor?: 'last-resort'
}

type Collect = (options: Collection) => unknown

/**
 * Lets collections of the young heap, some hundred a second, run on the thread that they stop: for so few objects, waking
 * helpers on other CPUs took longer than the helpers save. Collections of the whole heap keep their helpers.
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
  // Drops byte code that was not used since the last collection; V8 by itself waits for six collections.
  setFlagsFromString('--bytecode-old-age=1')
  collector()({ type: 'major', execution: 'async', flavor: 'last-resort' })
  setTimeout(() => setFlagsFromString('--bytecode-old-age=6'), 1000).unref()
}

let kept: Collect | undefined

/** Collects all garbage, or what is young of it, at once. */
export function collectGarbage(type: 'minor' | 'major'): void {
  kept ??= collector()
  kept({ type, execution: 'sync' })
}

/** Listeners of a supervisor have `gc` from `--expose-gc`; elsewhere, only a context made after the flag has it. */
function collector(): Collect {
  if (globalThis.gc) return globalThis.gc
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return collect
}
