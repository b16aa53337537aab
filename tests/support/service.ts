// Starts the service as a user would: in its own process, with an environment.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const MAIN = fileURLToPath(new URL('../../src/server/main.ts', import.meta.url))
export const JWT_SECRET = 'a secret for tests, of 32 bytes or more'

export interface LogLine {
  level: string
  msg: string
  pid: number
  role: string
  [field: string]: unknown
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface TestProcess {
  child: ChildProcess
  lines: LogLine[]
  stderr(): string
  exited: Promise<Exit>
  /** The first line, past or future, that `matches`. Rejects when the process ends before it. */
  line(matches: (line: LogLine) => boolean): Promise<LogLine>
}

export interface TestService extends TestProcess {
  url: string
  port: number
  /** Sends SIGTERM and resolves with the exit. */
  stop(): Promise<Exit>
}

/**
 * Runs the service, or `entry`, with only these settings, in a working directory without a `.env`; after `preparation`,
 * words of the shell that becomes the process.
 */
export async function runMain(
  env: Record<string, string>,
  args: string[] = [],
  entry = MAIN,
  preparation = '',
): Promise<TestProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-cwd-'))
  const command = [process.execPath, entry, ...args]
  const script = `${preparation}\nexec "$@"`
  const child = spawn('/bin/sh', ['-c', script, 'sh', ...command], {
    cwd: folder,
    env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: LogLine[] = []
  const waiting = new Set<(line: LogLine) => void>()
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  createInterface(child.stdout).on('line', (text) => {
    // A command prints text, a service only lines of JSON.
    if (args.length > 0) return
    const parsed = parseLine(text)
    lines.push(parsed)
    for (const wake of waiting) wake(parsed)
  })
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  void exited.then(() => rm(folder, { recursive: true, force: true }))

  function line(matches: (line: LogLine) => boolean): Promise<LogLine> {
    const past = lines.find(matches)
    if (past) return Promise.resolve(past)
    return new Promise((resolve, reject) => {
      const wake = (candidate: LogLine) => {
        if (!matches(candidate)) return
        waiting.delete(wake)
        resolve(candidate)
      }
      waiting.add(wake)
      void exited.then(() => reject(new Error(`The process ended first:\n${stderr}`)))
    })
  }

  return { child, lines, stderr: () => stderr, exited, line }
}

/** Starts the service on a free port and waits until it listens. */
export async function startService(
  databaseUrl: string,
  env: Record<string, string> = {},
  entry = MAIN,
  preparation = '',
): Promise<TestService> {
  const settings = {
    DATABASE_URL: databaseUrl,
    JWT_SECRET,
    SERVER_HOST: '127.0.0.1',
    SERVER_PORT: '0',
    LISTENERS: '1',
    // Set for the tests that are run with the driver as well: see vitest.config.ts.
    ...(process.env.DB_CLIENT ? { DB_CLIENT: process.env.DB_CLIENT } : {}),
    // The client keeps its connections open, but a drain need not wait for them.
    SHUTDOWN_TIMEOUT_MS: '300',
    ...env,
  }
  const running = await runMain(settings, [], entry, preparation)
  return whenListening(running)
}

export async function whenListening(running: TestProcess): Promise<TestService> {
  const { url } = await running.line(({ msg }) => msg === 'Listening')
  const stop = () => {
    running.child.kill('SIGTERM')
    return running.exited
  }
  return { ...running, url: String(url), port: Number(new URL(String(url)).port), stop }
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`Standard output has a line that is not JSON: ${text}`)
  }
}
