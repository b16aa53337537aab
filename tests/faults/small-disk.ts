// A file system of its own that is small enough to be filled. Needs the right to mount.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface SmallDisk {
  folder: string
  /** Writes until there is no room. */
  fill(): Promise<void>
  /** Makes room again. */
  clear(): Promise<void>
  /** Nobody may use the folder any more. */
  close(): Promise<void>
}

const run = promisify(execFile)
const STEP_BYTES_MAX = 1 << 20
const STEP_BYTES_MIN = 4096

/** Whether this process has CAP_SYS_ADMIN, number 21 in capabilities(7). */
export function canMount(): boolean {
  const [, capabilities = '0'] =
    /CapEff:\s+(\w+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return ((BigInt(`0x${capabilities}`) >> 21n) & 1n) === 1n
}

export async function openSmallDisk(megabytes: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-disk-'))
  const filler = join(folder, 'filler')
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
  return {
    folder,
    fill: () => fill(filler),
    clear: () => rm(filler, { force: true }),
    close: async () => {
      await run('umount', [folder])
      await rm(folder, { recursive: true })
    },
  }
}

async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (let size = STEP_BYTES_MAX; size >= STEP_BYTES_MIN; ) {
      try {
        await file.write(Buffer.alloc(size))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        size /= 2
      }
    }
  } finally {
    await file.close()
  }
}
