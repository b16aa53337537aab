// Runs where the local PostgreSQL is started. Refuses files and folders that other users could have planted or changed.
import { constants } from 'node:fs'
import { access, type FileHandle, lstat, mkdir, open, realpath, stat } from 'node:fs/promises'
import { SetupError } from '../setup-error.ts'

const OTHERS = constants.S_IRWXG | constants.S_IRWXO
const WRITABLE_BY_OTHERS = constants.S_IWGRP | constants.S_IWOTH
const ROOT = 0

/** The user that we are. Windows has no such numbers, and is not supported. */
export function ownUid(): number {
  return process.geteuid?.() ?? ROOT
}

/**
 * Makes the folder when it is absent. Resolves with its real path, so that nobody can exchange a link in its path
 * afterwards. Rejects when another user owns it or can write it, and when we cannot.
 */
export async function openOwnFolder(path: string): Promise<string> {
  await makeFolder(path)
  const link = await lstat(path)
  if (link.isSymbolicLink() && ![ownUid(), ROOT].includes(link.uid)) {
    throw refusal(path, `it is a link of another user (uid ${link.uid})`, `rm "${path}"`)
  }
  const folder = await realpath(path)
  await requireOwned(folder, [ownUid()])
  await access(folder, constants.W_OK | constants.X_OK).catch(refuseFor(folder))
  return folder
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: constants.S_IRWXU }).catch(refuseFor(path))
}

/** Why a folder cannot be made or written, by the code of the error. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'it is on a read-only file system',
  ENOSPC: 'the disk is full',
  EEXIST: 'it is a file',
  ENOTDIR: 'a part of its path is a file',
}

function refuseFor(folder: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    const reason = REASONS[error.code ?? '']
    if (!reason) throw error
    throw refusal(folder, reason, 'set DATA_DIR to a folder that this user may write')
  }
}

/** Rejects unless it is a folder of one of these users that no other user can write. */
export async function requireOwned(folder: string, owners: readonly number[]): Promise<void> {
  const found = await stat(folder)
  if (!found.isDirectory()) throw refusal(folder, 'it is not a folder')
  if (!owners.includes(found.uid)) {
    const fix = `chown -R ${ownUid()} "${folder}"`
    throw refusal(folder, `it belongs to another user (uid ${found.uid})`, fix)
  }
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw refusal(folder, 'other users can write it', `chmod go-w "${folder}"`)
  }
}

/** True for a folder of `uid`, not a link to one, that no other user can write. */
export async function isFolderOf(path: string, uid: number): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  if (!found?.isDirectory() || found.uid !== uid) return false
  return (found.mode & WRITABLE_BY_OTHERS) === 0
}

/**
 * The text of a file that only we may read, or `undefined` when there is none. One that others can read is refused like
 * one that they can write: to change its mode silently would not take the secret back from those who have read it.
 */
export async function readPrivate(path: string): Promise<string | undefined> {
  // O_NONBLOCK: a pipe in its place would otherwise be waited for without end.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK
  const file = await openWithoutLink(path, flags).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return undefined
  })
  if (!file) return undefined
  try {
    const found = await file.stat()
    if (!found.isFile()) throw refusal(path, 'it is not a file', `rm "${path}"`)
    if (found.uid !== ownUid()) {
      const fix = `chown ${ownUid()} "${path}"`
      throw refusal(path, `it belongs to another user (uid ${found.uid})`, fix)
    }
    if ((found.mode & OTHERS) !== 0) {
      const fix = `chmod 600 "${path}", or delete it if others may know or have changed what it says`
      throw refusal(path, 'other users can read or write it', fix)
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** Opens a file, which is readable only to us when it is new. Rejects when the name is a symbolic link. */
export async function openWithoutLink(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags | constants.O_NOFOLLOW, constants.S_IRUSR | constants.S_IWUSR)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOOP') throw error
    throw refusal(path, 'it is a symbolic link', `rm "${path}"`)
  }
}

function refusal(path: string, reason: string, fix?: string): SetupError {
  return new SetupError(`Cannot use "${path}": ${reason}${fix ? `; fix: ${fix}` : ''}`)
}
