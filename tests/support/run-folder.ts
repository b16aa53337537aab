// One temporary folder for everything that a run of the tests makes. A run that is killed leaves it to the next one.
import { readFileSync, readlinkSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from '../../src/db/local/postmaster.ts'

const NAME = /^taskapi-run-(\d+)-\w+$/
/** Any user makes files there, as in the system's own temporary folder. */
const MODE = 0o1777
/** What was in it may need a moment to end. */
const RETRIES = { maxRetries: 20, retryDelay: 50 }

/**
 * Makes the folder, and has this process and those that it starts take it for the temporary one. Removes what runs that
 * have ended left. Resolves with what removes this one.
 */
export async function openRunFolder(): Promise<() => Promise<void>> {
  const place = tmpdir()
  await removeRemains(place)
  const folder = await mkdtemp(join(place, `taskapi-run-${process.pid}-`))
  await chmod(folder, MODE)
  process.env.TMPDIR = folder
  return () => rm(folder, { recursive: true, ...RETRIES })
}

/** Removes the folders in `place` of runs that have ended, unless a process that they left still uses its own. */
export async function removeRemains(place: string): Promise<void> {
  const names = (await readdir(place)).filter((name) => {
    const pid = Number(NAME.exec(name)?.[1])
    return pid > 0 && !isAlive(pid)
  })
  const used = names.length > 0 ? await listUsedPaths() : []
  for (const name of names) {
    const folder = `${join(place, name)}/`
    if (used.some((path) => path.startsWith(folder))) continue
    // Another run may be at it, too.
    await rm(folder, { recursive: true, force: true, ...RETRIES })
  }
}

/** Where processes are at work, and where they listen. Servers and services have their working directory among their files. */
async function listUsedPaths(): Promise<string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const sockets = readFileSync('/proc/net/unix', 'utf8').match(/\/\S+$/gm) ?? []
  return [...sockets, ...processes.map((pid) => `${workingDirectoryOf(pid)}/`)]
}

/** The empty string for a process that has ended, or is another user's. */
function workingDirectoryOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}
