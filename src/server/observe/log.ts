// Runs in every process. JSON lines on standard output, or readable ones on a terminal.
import { createRequire } from 'node:module'
import { type DestinationStream, type Logger, pino } from 'pino'
import { Output } from './output.ts'

export type { Logger } from 'pino'

/** Longest stack in a line: lines of several processes on one pipe stay whole up to 4 096 bytes. */
const STACK_LENGTH_MAX = 2000

export interface LogOptions {
  /** Least severe level that is written. */
  level: string
  /** Names the process in every line. */
  role: string
  /** What a line may say about an error whose message or stack could quote user data; `undefined` for other errors. */
  describeError: (error: unknown) => Record<string, unknown> | undefined
}

export interface Log {
  logger: Logger
  /** Lines that were dropped since the start. */
  dropped: () => number
  /** Writes what is buffered and ends the log; gives up after a second when nobody reads. */
  close(): Promise<void>
}

export function createLog({ level, role, describeError }: LogOptions): Log {
  const settings = {
    level,
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
    return { logger: pino(settings, pretty), dropped: () => 0, close: () => Promise.resolve() }
  }

  const output = new Output((dropped) => {
    logger.warn({ dropped }, 'Log lines were dropped because standard output did not take them')
  })
  const logger = pino(settings, output)
  return { logger, dropped: () => output.dropped, close: () => output.close() }
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
