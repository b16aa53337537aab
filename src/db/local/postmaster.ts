// Runs where the local PostgreSQL is started. What its pid file and /proc say about the server process.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { ignore } from './binaries.ts'

/** What matters here of PostgreSQL's postmaster.pid. */
export interface PidFile {
  pid: number
  socketFolder: string
}

/** `undefined` while there is no server, or its file is not complete yet. */
export async function readPidFile(dataFolder: string): Promise<PidFile | undefined> {
  const text = await readFile(join(dataFolder, 'postmaster.pid'), 'utf8').catch(ignore('ENOENT'))
  const lines = text?.split('\n') ?? []
  const pid = Number(lines[0])
  const socketFolder = lines[4]
  return pid > 0 && socketFolder ? { pid, socketFolder } : undefined
}

/** False also for a zombie: in a container, a process that is not our child may never be reaped. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true
  }
}

/** True when the process with this pid runs PostgreSQL, not some other program that was given the pid later. */
export async function isPostgres(pid: number): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
  // Without /proc we cannot know, and PostgreSQL itself decides whether its pid file still counts.
  return command !== undefined && basename(command.split('\0')[0] ?? '') === 'postgres'
}
