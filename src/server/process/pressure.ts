// Runs in listeners. How much of its cgroup's memory is in use: the kernel kills without a word who exceeds it.
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { listCgroupFolders } from '../config/cgroup.ts'
import type { Logger } from '../observe/log.ts'
import { Sampling } from '../observe/sampling.ts'
import { collectGarbage } from './heap.ts'
import { MIB, toMegabytes } from './memory.ts'

const CHECK_MS = 100
/** From this share of the limit on, memory is short. Page cache does not count: the kernel takes it back by itself. */
const SHORT_SHARE = 0.9
/** A collection stops everything for 10 to 30 ms. */
const COLLECT_MS_MIN = 1000
/** What the file of version 2 says about memory that the kernel cannot take back. */
const PARTS = /^(?:anon|kernel|sock|shmem) (\d+)$/gm
const STAT_BYTES_MAX = 8192

/** The memory of a cgroup. */
export interface Usage {
  readonly limitBytes: number
  /** Bytes in use, page cache apart. */
  readonly read: () => number
  readonly close: () => void
}

export interface PressureOptions {
  usage: Usage
  log: Logger
  /** Called at every check. While memory is short, it is to give some back, and to turn away what takes much. */
  readonly onCheck: (isShort: boolean) => void
}

/** Watches the usage until it is closed. */
export class Pressure {
  readonly #options: PressureOptions
  readonly #timer: NodeJS.Timeout
  readonly #reports = new Sampling()
  #collectedAtMs = 0

  constructor(options: PressureOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#check(), CHECK_MS).unref()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#options.usage.close()
  }

  #check(): void {
    const { usage, log, onCheck } = this.#options
    const usedBytes = usage.read()
    const isShort = usedBytes > SHORT_SHARE * usage.limitBytes
    onCheck(isShort)
    if (!isShort) return
    const nowMs = performance.now()
    if (nowMs - this.#collectedAtMs > COLLECT_MS_MIN) {
      collectGarbage('major')
      this.#collectedAtMs = performance.now()
    }
    const fields = {
      used_mb: toMegabytes(usedBytes / MIB),
      memory_mb: toMegabytes(usage.limitBytes / MIB),
    }
    this.#reports.add('short', (repeats) =>
      log.warn({ ...fields, repeats }, 'Memory is short, turning away what takes much of it'),
    )
  }
}

/**
 * The memory of this process' cgroup; `undefined` where it has no limit, or does not say.
 *
 * @param limitBytes what the process may use, as Node knows it
 * @param root stands in for `/`
 */
export function openUsage(limitBytes: number, root = '/'): Usage | undefined {
  for (const { path, version } of listCgroupFolders('memory', root)) {
    const usage = version === 2 ? openV2(path, limitBytes) : openV1(path, limitBytes)
    if (usage) return usage
  }
  return undefined
}

function openV2(folder: string, limitBytes: number): Usage | undefined {
  const stat = openFile(join(folder, 'memory.stat'))
  if (!stat) return undefined
  const read = () => {
    let bytes = 0
    for (const [, part] of stat.read().matchAll(PARTS)) bytes += Number(part)
    return bytes
  }
  return { limitBytes, read, close: stat.close }
}

function openV1(folder: string, limitBytes: number): Usage | undefined {
  const stat = openFile(join(folder, 'memory.stat'))
  const kernel = openFile(join(folder, 'memory.kmem.usage_in_bytes'))
  const close = () => {
    stat?.close()
    kernel?.close()
  }
  if (!stat) {
    close()
    return undefined
  }
  const read = () =>
    Number(/^total_rss (\d+)$/m.exec(stat.read())?.[1] ?? 0) + Number(kernel?.read() ?? 0)
  return { limitBytes, read, close }
}

interface StatFile {
  readonly read: () => string
  readonly close: () => void
}

/** A small file that the kernel writes anew at each read. */
function openFile(path: string): StatFile | undefined {
  const buffer = Buffer.allocUnsafeSlow(STAT_BYTES_MAX)
  try {
    const file = openSync(path, 'r')
    return {
      read: () => buffer.toString('latin1', 0, readSync(file, buffer, 0, STAT_BYTES_MAX, 0)),
      close: () => closeSync(file),
    }
  } catch {
    return undefined
  }
}
