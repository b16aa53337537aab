// The entry of every process: the supervisor (or the one listener of a small set-up), a listener, or a command.
// The only file that handles signals and ends the process.
import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { describeError } from '../db/failures.ts'
import {
  LISTENER_ROLE,
  type ListenerMessage,
  MIGRATES,
  type SupervisorMessage,
} from '../workers/messages.ts'
import { type Config, ConfigError, readConfig } from './config/config.ts'
import { createLog, type Log } from './observe/log.ts'
import type { Part } from './process/start.ts'

/** sysexits.h: the configuration is not usable. */
const EX_CONFIG = 78
/** npm passes a terminal's Ctrl-C on to a process that has got it already: within this time it is the same signal. */
const ECHO_MS = 300

const [command, ...words] = process.argv.slice(2)
// Not awaited at the top level, which the format of the production bundle does not have. None of them rejects.
if (command === undefined) void serve()
else if (command === LISTENER_ROLE && process.send) void serveAsListener(words.includes(MIGRATES))
else void runCommand()

async function serve(): Promise<void> {
  const config = readConfigOrExit()
  const log = createLog({
    level: config.LOG_LEVEL,
    role: config.LISTENERS > 1 ? 'supervisor' : 'listener',
    describeError,
  })
  const listenForStop = (stop: () => void) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)
  }
  await run(log, listenForStop, async (signal) => {
    const { startService } = await import('./process/start.ts')
    const service = await startService(import.meta.filename, config, log.logger, signal)
    log.logger.info(
      { url: service.url, listeners: config.LISTENERS, ...memoryLimits() },
      'Listening',
    )
    if (config.DATABASE_URL === undefined || process.stderr.isTTY) {
      const { welcome } = await import('./process/welcome.ts')
      process.stderr.write(welcome(service.url))
    }
    if (config.LISTENERS > 1) {
      const { compactHeap } = await import('./process/heap.ts')
      compactHeap()
    }
    return service
  })
}

async function serveAsListener(migrates: boolean): Promise<void> {
  const config = readConfigOrExit()
  const log = createLog({ level: config.LOG_LEVEL, role: 'listener', describeError })
  // A terminal sends Ctrl-C to the whole group; the supervisor decides.
  process.on('SIGINT', () => undefined)
  const listenForStop = (stop: () => void) => {
    // Only the supervisor cuts a drain short, by killing: here a second word is never more than an echo.
    let stopping = false
    const stopOnce = () => {
      if (!stopping) stop()
      stopping = true
    }
    process.on('SIGTERM', stopOnce)
    process.on('disconnect', stopOnce)
    process.on('message', (message: SupervisorMessage) => {
      if (message.type === 'drain') stopOnce()
    })
  }
  await run(log, listenForStop, async (signal) => {
    const { startListener } = await import('./process/listener.ts')
    const listener = await startListener(config, log.logger, { migrates, signal })
    process.on('message', (message: SupervisorMessage) => {
      if (message.type === 'refuse') void listener.refuse().then(() => tell({ type: 'refusing' }))
    })
    tell({ type: 'listening' })
    log.logger.info({ port: listener.port }, 'Listener is up')
    return { drain: () => listener.drain(), terminate: () => undefined }
  })
}

function tell(message: ListenerMessage): void {
  if (process.connected) process.send?.(message)
}

async function runCommand(): Promise<void> {
  const { runCli } = await import('./cli/cli.ts')
  try {
    await runCli(serve)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(error instanceof ConfigError ? EX_CONFIG : 1)
  }
}

/** Starts, and drains at the first stop; a second one that is not an echo of the first ends at once. */
async function run(
  log: Log,
  listenForStop: (stop: () => void) => void,
  start: (signal: AbortSignal) => Promise<Part>,
): Promise<void> {
  const abort = new AbortController()
  let part: Part | undefined
  let stoppedAtMs: number | undefined
  let exiting = false

  listenForStop(onStop)
  process.on('uncaughtException', (err) => {
    log.logger.fatal({ err }, 'Uncaught exception')
    part?.terminate()
    void exit(1)
  })

  function onStop(): void {
    if (exiting) return
    if (stoppedAtMs === undefined) {
      stoppedAtMs = performance.now()
      abort.abort()
      if (part) void stop(part)
    } else if (performance.now() - stoppedAtMs > ECHO_MS) {
      log.logger.warn('Stopping at once')
      part?.terminate()
      void exit(1)
    }
  }

  async function stop(running: Part): Promise<void> {
    const clean = await running.drain()
    log.logger.info('Stopped')
    await exit(clean ? 0 : 1)
  }

  async function exit(code: number): Promise<void> {
    exiting = true
    await log.close()
    process.exit(code)
  }

  try {
    part = await start(abort.signal)
  } catch (err) {
    if (abort.signal.aborted) return exit(0)
    log.logger.fatal({ err }, 'Cannot start')
    process.stderr.write(`${err instanceof Error ? err.message : String(err)}\n`)
    return exit(1)
  }
  if (abort.signal.aborted) await stop(part)
}

/** What bounds this process: V8's heap, and the memory of its cgroup or of the machine. V8 sizes the first by the second. */
function memoryLimits() {
  return {
    heap_mb: toMegabytes(getHeapStatistics().heap_size_limit),
    // Without a limit, version 1 of cgroups says nearly 2^64.
    memory_mb: toMegabytes(Math.min(process.constrainedMemory() || totalmem(), totalmem())),
  }
}

function toMegabytes(bytes: number): number {
  return Math.round(bytes / 1e6)
}

function readConfigOrExit(): Config {
  try {
    return readConfig()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(EX_CONFIG)
  }
}
