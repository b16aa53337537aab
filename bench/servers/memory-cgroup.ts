// A memory cgroup, version 1 or 2, for the processes of one server: what they are charged, and a limit on it.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const V1 = '/sys/fs/cgroup/memory'
const V2 = '/sys/fs/cgroup'

export interface MemoryCgroup {
  /** A shell command that moves the shell into the cgroup. */
  enter: string
  parts(): MemoryParts
  /** Anonymous and kernel memory. */
  chargedBytes(): number
  /** The most that was ever charged, page cache included; 0 where the kernel does not report it. */
  peakBytes(): number
  /** Processes that were killed because the limit was reached. */
  oomKills(): number
  remove(): void
}

/** What a cgroup is charged, in bytes. */
export interface MemoryParts {
  anon: number
  /** Page cache: the kernel takes it back before it kills. */
  file: number
  kernel: number
}

/** `undefined` where this user may not make a cgroup, or may not limit it. */
export function createMemoryCgroup(name: string, limitBytes?: number): MemoryCgroup | undefined {
  const isV1 = existsSync(`${V1}/memory.stat`)
  const folder = join(isV1 ? V1 : V2, name)
  const read = (file: string) => readText(join(folder, file))
  const field = (file: string, key: string) =>
    Number(new RegExp(`^${key} (\\d+)`, 'm').exec(read(file))?.[1] ?? 0)
  const remove = () => removeFolder(folder)
  try {
    mkdirSync(folder)
    readFileSync(join(folder, 'memory.stat'))
    if (limitBytes !== undefined) limitMemory(folder, isV1, limitBytes)
  } catch {
    remove()
    return undefined
  }
  const parts = () =>
    isV1
      ? {
          anon: field('memory.stat', 'total_rss'),
          file: field('memory.stat', 'total_cache'),
          kernel: Number(read('memory.kmem.usage_in_bytes')),
        }
      : {
          anon: field('memory.stat', 'anon'),
          file: field('memory.stat', 'file'),
          kernel: field('memory.stat', 'kernel'),
        }
  const chargedBytes = () => parts().anon + parts().kernel
  const common = { enter: `echo $$ > ${folder}/cgroup.procs`, parts, chargedBytes, remove }
  return isV1
    ? {
        ...common,
        peakBytes: () => Number(read('memory.max_usage_in_bytes')),
        oomKills: () => field('memory.oom_control', 'oom_kill'),
      }
    : {
        ...common,
        peakBytes: () => Number(read('memory.peak')),
        oomKills: () => field('memory.events', 'oom_kill'),
      }
}

/** Whether `createMemoryCgroup` can make a cgroup with a limit here. */
export function canLimitMemory(): boolean {
  const probe = createMemoryCgroup(`taskapi-bench-${process.pid}-probe`, 1 << 26)
  probe?.remove()
  return probe !== undefined
}

/** Runs `use`. When it fails after the kernel has killed processes of the cgroup, the error says so. */
export async function blameMemory<T>(
  cgroup: MemoryCgroup | undefined,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use()
  } catch (error) {
    const kills = cgroup?.oomKills() ?? 0
    throw kills > 0 ? new OutOfMemoryError(kills, error) : error
  }
}

export class OutOfMemoryError extends Error {
  constructor(kills: number, cause: unknown) {
    super(describeKills(kills), { cause })
  }
}

export function describeKills(kills: number): string {
  return `out of memory: ${kills} ${kills === 1 ? 'process' : 'processes'} killed`
}

/** Swap is limited, too: otherwise the kernel would swap out what exceeds the limit instead of refusing it. */
function limitMemory(folder: string, isV1: boolean, bytes: number): void {
  if (isV1) {
    writeFileSync(join(folder, 'memory.limit_in_bytes'), String(bytes))
    // Absent where the kernel does not account for swap. This is the limit of memory and swap together.
    const both = join(folder, 'memory.memsw.limit_in_bytes')
    if (existsSync(both)) writeFileSync(both, String(bytes))
    return
  }
  writeFileSync(join(folder, 'memory.max'), String(bytes))
  const swap = join(folder, 'memory.swap.max')
  if (existsSync(swap)) writeFileSync(swap, '0')
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // A process that is still exiting keeps it busy. An empty cgroup that stays behind costs nothing.
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
