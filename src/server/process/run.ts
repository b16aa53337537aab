// Runs in every process. The life of a process: it starts, drains at the first stop, and terminates at the second. The
// only file that handles signals and ends the process.
import { describeError } from '../../db/failures.ts'
import { SetupError, UnfitError } from '../../db/setup-error.ts'
import {
  BEAT_MS,
  type DatabaseState,
  type ListenerMessage,
  type SupervisorMessage,
} from '../../workers/messages.ts'
import { type Config, ConfigError, readConfig, readMisnomers } from '../config/config.ts'
import { createLog, type Log, type Logger, type Loggers } from '../observe/log.ts'
import type { Listener } from './listener.ts'
import { setLevels } from './log-level.ts'
import { readBounds, toMegabytes } from './memory.ts'
import type { Running } from './running.ts'

type Question = Extract<SupervisorMessage, { type: 'count' | 'inspect' }>

/** Of a stack. Before them, the stack of a parse error has the file, the line, and what is there. */
const CALLS = /\n {4}at [^]*/
/** From sysexits.h: the configuration is not usable. */
const EX_CONFIG = 78
/** npm passes a terminal's Ctrl-C on to a process that already has it: within this time, a second signal is an echo. */
const ECHO_MS = 300
/** How Node says it, for `import` and for `require`. */
const MISSING_PACKAGE = /^Cannot find (?:package|module) '([^'./][^']*)'/
/**
 * Left alone, each of them would end the process without a drain, and leave a local PostgreSQL behind. A terminal sends
 * SIGINT at Ctrl-C, SIGQUIT at Ctrl-\ and SIGHUP when it closes; nodemon asks for a restart with SIGUSR2.
 */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/**
 * The whole service.
 *
 * @param entry module that a listener process runs
 */
export async function runService(entry: string): Promise<void> {
  const config = readConfigOrExit()
  const log = openLog(config, config.LISTENERS > 1 ? 'supervisor' : 'listener')
  for (const warning of readMisnomers()) log.loggers.process.warn(warning)
  const onStopAsked = (stop: () => void) => {
    for (const signal of STOP_SIGNALS) process.on(signal, stop)
    // The command `dev` has started this process, and has ended.
    process.on('disconnect', stop)
  }
  await run(log, onStopAsked, async (signal) => {
    const { startService } = await import('./start.ts')
    const service = await startService(config, { entry, log, signal })
    report({ type: 'usable' })
    return service
  })
}

/** A command that goes on until it is asked to stop, also by the end of its terminal. */
export async function runUntilStopped(
  config: Config,
  role: string,
  start: (log: Loggers, signal: AbortSignal) => Promise<Running>,
): Promise<void> {
  const log = openLog(config, role)
  const onStopAsked = (stop: () => void) => {
    for (const signal of STOP_SIGNALS) process.on(signal, stop)
  }
  await run(log, onStopAsked, (signal) => start(log.loggers, signal))
}

/** One listener; this process is connected to its supervisor. */
export async function runListener({ migrated }: { migrated: boolean }): Promise<void> {
  const config = readConfigOrExit()
  const log = openLog(config, 'listener')
  let listener: Listener | undefined
  startBeating()
  let database: DatabaseState | undefined
  // A terminal sends its signals to the whole group: the supervisor decides what they mean.
  for (const signal of STOP_SIGNALS) process.on(signal, () => undefined)
  const onStopAsked = (stop: () => void) => {
    // Only the supervisor cuts a drain short, by killing this process: a second request to stop is always an echo.
    const stopOnce = once(stop)
    process.on('SIGTERM', stopOnce)
    process.on('disconnect', stopOnce)
    process.on('message', (message: SupervisorMessage | null) => {
      const type = message?.type
      switch (type) {
        case 'refuse':
          void listener?.refuse().then(() => report({ type: 'refusing' }))
          break
        case 'drain':
          stopOnce()
          break
        case 'log-level':
          setLevels(log, message?.levels ?? '')
          break
        case 'count':
        case 'inspect':
          if (message) void answer(message, listener)
          break
        case 'others':
          listener?.reportOthers(message?.ready === true)
          break
        case 'database':
          database = message?.state
          if (database) listener?.reportDatabase(database)
          break
        default:
          log.loggers.process.warn(
            { type: type satisfies undefined },
            'Supervisor sent an unknown message, ignoring it',
          )
      }
    })
  }
  await run(log, onStopAsked, async (signal) => {
    const { startListener } = await import('./listener.ts')
    listener = await startListener(config, log.loggers, {
      migrated,
      linesDropped: log.dropped,
      onReadiness: (ready) => report({ type: 'readiness', ready }),
    })
    signal.throwIfAborted()
    report({ type: 'listening' })
    const fields = { port: listener.port, heap_mb: toMegabytes(readBounds().heap) }
    log.loggers.process.info(fields, 'Listener is up')
    void listener.usable.then((findings) => report({ type: 'usable', findings }))
    // It may have come before there was a listener to receive it.
    if (database) listener.reportDatabase(database)
    return listener
  })
}

/** A command; the process ends with it, unless it has started the service. */
export async function runCommand(command: () => Promise<void>): Promise<void> {
  // `head` and the like close the pipe when they have enough; what is left to do still gets done. A pipeline that writes
  // there has a listener, too, and rejects.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && process.stdout.listenerCount('error') === 1) throw error
  })
  try {
    await command()
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    process.exit(exitCodeOf(error))
  }
}

/** Starts, and drains at the first stop. A second stop that is not an echo of the first ends the process at once. */
async function run(
  log: Log,
  onStopAsked: (stop: () => void) => void,
  start: (signal: AbortSignal) => Promise<Running>,
): Promise<void> {
  const abort = new AbortController()
  let running: Running | undefined
  let stoppedAtMs: number | undefined
  let exiting = false

  onStopAsked(() => {
    if (exiting) return
    if (stoppedAtMs === undefined) {
      stoppedAtMs = performance.now()
      abort.abort()
      if (running) void drain(running)
    } else if (performance.now() - stoppedAtMs > ECHO_MS) {
      log.loggers.process.warn('Stopping at once')
      running?.terminate()
      void exit(1)
    }
  })
  process.on('uncaughtException', (err) => {
    log.loggers.process.fatal({ err }, 'Uncaught exception')
    running?.terminate()
    void exit(1)
  })

  async function drain(started: Running): Promise<void> {
    const clean = await started.drain()
    log.loggers.process.info('Stopped')
    await exit(clean ? 0 : 1)
  }

  async function exit(code: number): Promise<void> {
    exiting = true
    await log.close()
    process.exit(code)
  }

  try {
    running = await start(abort.signal)
  } catch (err) {
    if (abort.signal.aborted) return exit(0)
    reportFailure(log.loggers.process, err)
    if (err instanceof SyntaxError) {
      await log.close()
      return exitWithPlace(err)
    }
    return exit(exitCodeOf(err))
  }
  if (abort.signal.aborted) await drain(running)
}

/** Ends the process with the place of an error in the sources, which no other part of the error names. */
function exitWithPlace(error: SyntaxError): void {
  const text = error.stack?.replace(CALLS, '') ?? ''
  if (!text.startsWith('SyntaxError')) {
    process.stderr.write(`${text}\n`)
    process.exit(1)
  }
  // Of what V8 itself refuses only Node knows the place, and shows it where nobody catches the error.
  process.removeAllListeners('uncaughtException')
  setImmediate(() => {
    throw error
  })
}

/** Reports what an operator has asked for. Never rejects. */
async function answer(question: Question, listener: Listener | undefined): Promise<void> {
  if (question.type === 'count') {
    report({ type: 'counted', round: question.round, families: listener?.count() ?? [] })
    return
  }
  try {
    const { inspect } = await import('./inspection.ts')
    await inspect(question.inspection)
    report({ type: 'inspected' })
  } catch (error) {
    report({ type: 'inspected', reason: messageOf(error) })
  }
}

/** To the log, and in words to standard error. A stack is for those who can change the code. */
function reportFailure(log: Logger, err: unknown): void {
  const isExpected = err instanceof SetupError
  // On a terminal both are seen, and the words say it all.
  if (!isExpected || !process.stdout.isTTY) {
    log.fatal(isExpected ? { reason: err } : { err }, 'Cannot start')
  }
  if (!(err instanceof SyntaxError)) process.stderr.write(`${messageOf(err)}\n`)
}

/** Makes a function that acts the first time only. */
function once(action: () => void): () => void {
  let done = false
  return () => {
    if (!done) action()
    done = true
  }
}

function report(message: ListenerMessage): void {
  if (process.connected) process.send?.(message)
}

/** Reports again and again that the event loop turns. None is sent before the last one has left: nothing piles up. */
function startBeating(): void {
  const beat: ListenerMessage = { type: 'beat' }
  let leaving = false
  setInterval(() => {
    if (leaving || !process.connected) return
    leaving = true
    process.send?.(beat, undefined, undefined, () => {
      leaving = false
    })
  }, BEAT_MS).unref()
}

function openLog(config: Config, role: string): Log {
  return createLog({ levels: config.LOG_LEVEL, role, describeError })
}

function readConfigOrExit(): Config {
  try {
    return readConfig()
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    process.exit(EX_CONFIG)
  }
}

function exitCodeOf(error: unknown): number {
  return error instanceof ConfigError || error instanceof UnfitError ? EX_CONFIG : 1
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Of a package that "npm prune --omit=dev" has removed.
  const [, missing] = MISSING_PACKAGE.exec(error.message) ?? []
  return missing ? `The package "${missing}" is not installed; fix: npm ci` : error.message
}
