// CPU time and memory of processes, read from /proc: Linux only.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { MemoryCgroup } from './memory-cgroup.ts'

const TICKS_PER_SECOND = readTicks()
const KIB = 1024

export interface Memory {
  /** Sum over the processes; a shared page counts once for each of them. */
  rss_bytes: number
  /** Sum over the processes; a shared page is split among those that share it. */
  pss_bytes: number
  anonymous_bytes: number
  /** Anonymous and kernel memory charged to the cgroup; absent where no cgroup could be made. */
  cgroup_bytes?: number
  /** The most that the cgroup had been charged by then, page cache included. */
  cgroup_peak_bytes?: number
}

/** CPU time of a process and its descendants, those that have ended included, in microseconds. */
export function cpuMicroseconds(root: number): number {
  let ticks = 0
  for (const pid of processTree(root)) {
    const fields = readStat(pid)
    // utime, stime, and the same of children that have been waited for: proc(5), fields 14 to 17.
    if (fields) ticks += sum(fields.slice(11, 15).map(Number))
  }
  return (ticks * 1e6) / TICKS_PER_SECOND
}

export function memoryOf(root: number, cgroup: MemoryCgroup | undefined): Memory {
  const memory: Memory = { rss_bytes: 0, pss_bytes: 0, anonymous_bytes: 0 }
  for (const pid of processTree(root)) {
    const text = readText(`/proc/${pid}/smaps_rollup`)
    memory.rss_bytes += kibField(text, 'Rss')
    memory.pss_bytes += kibField(text, 'Pss')
    memory.anonymous_bytes += kibField(text, 'Anonymous')
  }
  if (!cgroup) return memory
  const peak = cgroup.peakBytes()
  return {
    ...memory,
    cgroup_bytes: cgroup.chargedBytes(),
    ...(peak > 0 ? { cgroup_peak_bytes: peak } : {}),
  }
}

function processTree(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    const fields = pid > 0 ? readStat(pid) : undefined
    if (!fields) continue
    const parent = Number(fields[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const tree: number[] = []
  const waiting = [root]
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    tree.push(pid)
    waiting.push(...(children.get(pid) ?? []))
  }
  return tree
}

/** The fields of /proc/pid/stat after the name, which may contain spaces: `[state, ppid, …]`. */
function readStat(pid: number): string[] | undefined {
  const text = readText(`/proc/${pid}/stat`)
  return text === '' ? undefined : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function kibField(text: string, name: string): number {
  return Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * KIB
}

function readTicks(): number {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  } catch {
    return 100
  }
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
