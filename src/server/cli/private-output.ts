// Runs in the process that the user started: the file of a backup. It has its name when it is whole, and not before.
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'

const NAME_BYTES = 6
const OWNER_ONLY = constants.S_IRUSR | constants.S_IWUSR

/**
 * Lets `fill` write to a draft beside `path` that nobody else can read, and gives it its name when all of it is on the disk.
 * A file of that name is replaced; anything else of that name is refused.
 */
export async function writePrivately(
  path: string,
  fill: (output: Writable) => Promise<void>,
): Promise<void> {
  await requireReplaceable(path)
  const draft = `${path}.${randomBytes(NAME_BYTES).toString('hex')}.draft`
  const file = await open(draft, 'wx', OWNER_ONLY).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    throw new Error(`the folder "${dirname(path)}" does not exist; make it, or name another file`)
  })
  try {
    // Its end flushes the file to the disk, and closes it.
    await fill(file.createWriteStream({ flush: true }))
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    await file.close()
    throw error
  }
  await syncFolder(dirname(path))
}

async function requireReplaceable(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  if (found && !found.isFile()) throw new Error(`"${path}" is not a file`)
}

/** The name is on the disk, too, when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
