// Runs in every process. JSON lines on standard output, or readable ones on a terminal.
import { createRequire } from 'node:module'
import { type DestinationStream, type Logger, pino } from 'pino'
import { Output } from './output.ts'

export type { Logger } from 'pino'

/** Longest stack in a line: lines of several processes on one pipe stay whole up to 4 096 bytes. */
const STACK_LENGTH_MAX = 2000

/** The parts of the code that log, each at a level of its own. */
const MODULES = ['process', 'http', 'api', 'db', 'workers'] as const
/** Lines that a setting of their own asks for. They are written whatever the levels of the modules are. */
const ASKED_FOR = ['requests', 'events'] as const

/** Least severe level that each module writes. */
export type Levels = Readonly<Record<(typeof MODULES)[number], string>>

/** A logger for each kind of lines; the name is the field `module`. */
export type Loggers = Readonly<
  Record<(typeof MODULES)[number] | (typeof ASKED_FOR)[number], Logger>
>

/** Writes nothing. */
export const SILENT: Levels = {
  process: 'silent',
  http: 'silent',
  api: 'silent',
  db: 'silent',
  workers: 'silent',
}

export interface LogOptions {
  levels: Levels
  /** Names the process in every line. */
  role: string
  /** What a line may say about an error whose message or stack could quote user data; `undefined` for other errors. */
  describeError: (error: unknown) => Record<string, unknown> | undefined
}

export interface Log {
  loggers: Loggers
  /** From now on. */
  setLevels(levels: Levels): void
  /** Lines that were dropped since the start. */
  dropped: () => number
  /** Writes what is buffered and ends the log; gives up after a second when nobody reads. */
  close: () => Promise<void>
}

export function createLog({ levels, role, describeError }: LogOptions): Log {
  const settings = {
    base: { pid: process.pid, role },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: {
      err: (error: unknown) => serializeError(error, describeError),
      reason: (error: unknown) => serializeReason(error, describeError),
    },
  }
  const pretty = process.stdout.isTTY ? openPretty() : undefined
  if (pretty) {
    const log = openLoggers(pino(settings, pretty), levels)
    return { ...log, dropped: () => 0, close: () => Promise.resolve() }
  }

  const output = new Output((dropped) => {
    log.loggers.process.warn(
      { dropped },
      'Log lines were dropped because standard output did not take them',
    )
  })
  const log = openLoggers(pino(settings, output), levels)
  return { ...log, dropped: () => output.dropped, close: () => output.close() }
}

function openLoggers(root: Logger, levels: Levels): Pick<Log, 'loggers' | 'setLevels'> {
  const open = (module: string) => [module, root.child({ module })]
  const loggers: Loggers = Object.fromEntries([...MODULES, ...ASKED_FOR].map(open))
  const setLevels = (next: Levels) => {
    for (const module of MODULES) loggers[module].level = next[module]
  }
  setLevels(levels)
  return { loggers, setLevels }
}

/** pino-pretty is a development dependency: without it a terminal gets JSON, too. */
function openPretty(): DestinationStream | undefined {
  try {
    const load = createRequire(import.meta.url)
    return load('pino-pretty')({
      sync: true,
      ignore: 'pid,hostname',
      translateTime: 'SYS:HH:MM:ss.l',
    })
  } catch {
    return undefined
  }
}

/** Of a failure that is expected to happen: where in the code it did says nothing, so it goes without stack. */
function serializeReason(error: unknown, describe: LogOptions['describeError']): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name: type, message } = error
  return describe(error) ?? { type, message, code: 'code' in error ? error.code : undefined }
}

function serializeError(error: unknown, describe: LogOptions['describeError']): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  // The stack repeats the message, so an error that has a description is logged by its description alone.
  const described = describe(error)
  if (described) return described
  const stack = error.stack?.slice(0, STACK_LENGTH_MAX)
  const code = 'code' in error ? error.code : undefined
  const cause = error.cause === undefined ? undefined : serializeError(error.cause, describe)
  return { type: error.name, message: error.message, code, stack, cause }
}
