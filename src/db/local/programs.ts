// Runs where the local PostgreSQL is started. Runs its programs, and says how they ended.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Identity } from './identity.ts'

export interface ProgramOptions {
  /** The folder with `bin`. */
  home: string
  dataFolder: string
  /** By default the current user. */
  identity: Identity | undefined
  flags: readonly string[]
  /** Where both outputs go; by default they are pipes. */
  logFd?: number
  signal?: AbortSignal
}

/**
 * Runs a program of PostgreSQL as `identity`, in its own session, so that Ctrl-C in the terminal does not reach it
 * before our drain has ended. When root starts it, the data folder may lie below a folder that the other user cannot
 * enter: the kernel enters it before the user id changes, and `/proc/self/cwd` then leads there without the path.
 */
export function spawnPostgres(
  program: 'initdb' | 'postgres',
  { home, dataFolder, identity, flags, logFd, signal }: ProgramOptions,
): ChildProcess {
  return spawn(
    join(home, 'bin', program),
    ['-D', identity ? '/proc/self/cwd' : dataFolder, ...flags],
    {
      ...identity,
      cwd: dataFolder,
      detached: true,
      env: { PATH: '/usr/bin:/bin', LANG: 'C', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', logFd ?? 'pipe', logFd ?? 'pipe'],
      ...(signal ? { signal } : {}),
    },
  )
}

export function exitCode(child: ChildProcess): Promise<number | null> {
  return new Promise((settle, fail) => {
    child.once('error', fail)
    child.once('exit', (code) => settle(code))
  })
}

/** Both outputs of a program, until it has closed them. */
export async function readAll(child: ChildProcess): Promise<string> {
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  }
  await new Promise((settle) => child.once('close', settle))
  return Buffer.concat(chunks).toString()
}
