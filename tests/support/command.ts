// Runs a command of the service as a user would, on a database.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { JWT_SECRET, MAIN } from './service.ts'

export interface Outcome {
  code: number | null
  stdout: Buffer
  stderr: string
}

export type CommandProcess = ChildProcessByStdio<Writable, Readable, Readable>

/** Nobody reads its output yet. After `preparation`, words of the shell that becomes the process. */
export function startCommand(url: string, args: string[], preparation = ''): CommandProcess {
  const command = [process.execPath, MAIN, ...args]
  return spawn('/bin/sh', ['-c', `${preparation}\nexec "$@"`, 'sh', ...command], {
    // Without a .env.
    cwd: '/',
    env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR, DATABASE_URL: url, JWT_SECRET },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

/** Reads all that it says, until its end. */
export async function finish(child: CommandProcess): Promise<Outcome> {
  const closed = once(child, 'close')
  const [stdout, stderr] = await Promise.all([buffer(child.stdout), text(child.stderr)])
  await closed
  return { code: child.exitCode, stdout, stderr }
}

export function runCommand(
  url: string,
  args: string[],
  { input = '', preparation = '' }: { input?: string | Uint8Array; preparation?: string } = {},
): Promise<Outcome> {
  const child = startCommand(url, args, preparation)
  // A command that refuses its input does not read the rest.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return finish(child)
}
