// Starts a server as a process group, waits for its first answer, and stops it.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { probePort } from '../../src/server/process/claims.ts'
import type { ServerKind } from './kind.ts'
import {
  blameMemory,
  createMemoryCgroup,
  type MemoryCgroup,
  OutOfMemoryError,
} from './memory-cgroup.ts'

const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 10_000
const POLL_MS = 5

export interface RunningServer {
  url: string
  pid: number
  startupMs: number
  cgroup: MemoryCgroup | undefined
  stop(): Promise<void>
}

/** Starts the server and waits until it serves. */
export async function startServer(
  kind: ServerKind,
  databaseUrl: string | undefined,
  signal: AbortSignal,
): Promise<RunningServer> {
  kind.prepare?.()
  const port = await probePort('127.0.0.1', 0)
  const cgroup = createMemoryCgroup(`taskapi-bench-${process.pid}-${port}`, kind.memoryLimitBytes)
  const logFile = join(tmpdir(), `taskapi-bench-${kind.name}.log`)
  const log = openSync(logFile, 'w')
  const startedAt = performance.now()
  // The shell moves itself into the cgroup and becomes the server. A server with a limit never runs outside its cgroup.
  const enter = `${cgroup?.enter ?? ':'} ${kind.memoryLimitBytes ? '&&' : ';'}`
  const child = spawn('sh', ['-c', `${enter} exec "$@"`, 'sh', ...kind.command], {
    cwd: kind.folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...kind.env({ port, databaseUrl }) },
    stdio: ['ignore', log, log],
    // Its own process group: Ctrl-C reaches only the bench, and whatever a server leaves behind can be killed with it.
    detached: true,
  })
  closeSync(log)
  const url = `http://127.0.0.1:${port}`
  const stop = async () => {
    await stopGroup(child)
    cgroup?.remove()
  }
  try {
    await blameMemory(cgroup, () =>
      firstAnswer(`${url}${kind.readyPath ?? '/health'}`, child, signal),
    )
  } catch (error) {
    await stop()
    const why = error instanceof OutOfMemoryError ? error.message : `see "${logFile}"`
    throw new Error(`Cannot start ${kind.name}: ${why}`, { cause: error })
  }
  return { url, pid: child.pid ?? 0, startupMs: performance.now() - startedAt, cgroup, stop }
}

async function firstAnswer(url: string, child: ChildProcess, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  for (;;) {
    signal.throwIfAborted()
    const ending = child.exitCode ?? child.signalCode
    if (ending !== null) throw new Error(`It ended with ${ending}`)
    if (performance.now() > deadline) throw new Error('It does not answer')
    const answer = await fetch(url, { headers: { connection: 'close' } }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    await delay(POLL_MS)
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await Promise.race([ended, delay(STOP_TIMEOUT_MS, undefined, { ref: false })])
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group has no process left.
  }
  await ended
}
