// Runs in listeners and in the process that the user started. Shares the memory of its cgroup, or of the machine, among its processes: V8 by
// itself gives each process a heap of about 260 MiB in any cgroup of up to 512 MiB.
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import type { Config } from '../config/config.ts'
import { SEMI_SPACE_MIB_MAX, V8_FLAGS } from './heap.ts'

export const MIB = 2 ** 20
/** A listener without its heap: Node, native code, buffers, sockets in the kernel. Measured under load, with Node 26. */
const BASE_MIB = 12
/** A hash thread: 19 MiB for Argon2, and 10 for its own heap and its code. */
const THREAD_MIB = 29
/** All of a supervisor. */
const SUPERVISOR_MIB = 16
/** V8's young generation: two halves, and as much again for what survives. */
const YOUNG_MIB = 3 * SEMI_SPACE_MIB_MAX
/** With 10 a listener dies under load, with 16 it serves the `mixed` scenario of the benchmark. */
const OLD_MIB_MIN = 16
/** Node lets it win over `--max-old-space-size`, so listeners must not inherit it. */
const PERCENTAGE_FLAG = '--max-old-space-size-percentage'

type Sizes = Pick<Config, 'LISTENERS' | 'PASSWORD_THREADS'>

/** What the processes of a service may take at most, in MiB. */
export interface MemoryPlan {
  memory: number
  /** Of each listener. */
  heap: number
  threads: number
  base: number
  /** Of all processes together. */
  needed: number
  /** `undefined` when V8's own limit fits, or when this process is the listener. */
  oldSpace: number | undefined
  /** What to change when `needed` exceeds `memory`. */
  advice: string | undefined
}

/** What bounds this process, in MiB. */
export interface Bounds {
  memory: number
  heap: number
}

/** What this process may use: the limit of its cgroup, or the memory of the machine. */
export function readMemoryBytes(): number {
  // Without a limit, version 1 of cgroups reports nearly 2^64.
  return Math.min(process.constrainedMemory() || totalmem(), totalmem())
}

/** V8's limit for this process, and the memory of its cgroup or of the machine. */
export function readBounds(): Bounds {
  return { memory: readMemoryBytes() / MIB, heap: getHeapStatistics().heap_size_limit / MIB }
}

export function planMemory(sizes: Sizes, { memory, heap: ownHeap }: Bounds): MemoryPlan {
  const { LISTENERS: listeners, PASSWORD_THREADS } = sizes
  const threads = THREAD_MIB * PASSWORD_THREADS
  const supervisor = listeners > 1 ? SUPERVISOR_MIB : 0
  const room = (memory - supervisor) / listeners - BASE_MIB - threads
  const isLimited = listeners > 1 && ownHeap > room
  const oldSpace = isLimited ? Math.max(Math.floor(room) - YOUNG_MIB, OLD_MIB_MIN) : undefined
  const heap = oldSpace === undefined ? ownHeap : oldSpace + YOUNG_MIB
  const needed = supervisor + listeners * (heap + threads + BASE_MIB)
  const plan = { memory, heap, threads, base: BASE_MIB, needed, oldSpace }
  return { ...plan, advice: needed > memory ? advise(sizes, memory) : undefined }
}

/** Options of Node for the listeners of a supervisor. */
export function listenerFlags({ oldSpace }: MemoryPlan): string[] {
  const limit = oldSpace === undefined ? [] : [`--max-old-space-size=${oldSpace}`]
  const flags = [...V8_FLAGS, ...limit]
  const names = new Set(flags.map(nameOf))
  if (oldSpace !== undefined) names.add(PERCENTAGE_FLAG)
  return [...process.execArgv.filter((flag) => !names.has(nameOf(flag))), ...flags]
}

/** The plan as fields of a log line. */
export function describePlan({ memory, heap, threads, base }: MemoryPlan): Record<string, number> {
  return {
    heap_mb: toMegabytes(heap),
    hash_threads_mb: toMegabytes(threads),
    base_mb: toMegabytes(base),
    memory_mb: toMegabytes(memory),
  }
}

export function toMegabytes(mebibytes: number): number {
  return Math.round((mebibytes * MIB) / 1e6)
}

function nameOf(flag: string): string {
  return flag.split('=')[0] ?? flag
}

function advise({ LISTENERS, PASSWORD_THREADS }: Sizes, memory: number): string {
  const least = BASE_MIB + YOUNG_MIB + OLD_MIB_MIN
  const fitting = Math.floor((memory - SUPERVISOR_MIB) / (least + THREAD_MIB * PASSWORD_THREADS))
  if (LISTENERS > 1) return `set LISTENERS to ${fitting > 1 ? `${fitting} or less` : '1'}`
  const fittingThreads = Math.floor((memory - least) / THREAD_MIB)
  if (fittingThreads >= PASSWORD_THREADS) {
    const oldSpace = Math.floor(memory - BASE_MIB - THREAD_MIB * PASSWORD_THREADS) - YOUNG_MIB
    return `start it with "node ${[...V8_FLAGS, `--max-old-space-size=${oldSpace}`].join(' ')}"`
  }
  if (fittingThreads >= 1) return `set PASSWORD_THREADS to ${fittingThreads}`
  return `give it ${least + THREAD_MIB} MiB of memory or more`
}
