// Runs in every process. JSON lines on standard output, or readable ones on a terminal.
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { type DestinationStream, type Logger, pino } from 'pino'
import { describeError } from '../../db/failures.ts'

export type { Logger } from 'pino'

/** Bytes of lines that may wait for a slow reader of standard output; further lines are counted and dropped. */
const BUFFER_BYTES_MAX = 4 * 1024 * 1024
/** Longest stack in a line: lines of several processes on one pipe stay whole up to 4 096 bytes. */
const STACK_LENGTH_MAX = 2000
const CLOSE_TIMEOUT_MS = 1000

export interface Log {
  logger: Logger
  /** Writes what is buffered and ends the log; gives up after a second when nobody reads. */
  close(): Promise<void>
}

/** @param role names the process in every line */
export function createLog(options: { level: string; role: string }): Log {
  const settings = {
    level: options.level,
    base: { pid: process.pid, role: options.role },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serializeError },
  }
  const pretty = process.stdout.isTTY ? openPretty() : undefined
  if (pretty) return { logger: pino(settings, pretty), close: () => Promise.resolve() }

  const destination = pino.destination({ dest: 1, sync: false, maxLength: BUFFER_BYTES_MAX })
  const logger = pino(settings, destination)
  // The reader has gone; there is nobody left to tell.
  destination.on('error', () => undefined)
  let dropped = 0
  destination.on('drop', () => {
    dropped += 1
  })
  destination.on('drain', () => {
    if (dropped === 0) return
    logger.warn({ dropped }, 'Log lines were dropped, nobody read standard output')
    dropped = 0
  })
  const close = () => {
    // Its own flush calls back before the last write has ended; closing does not.
    const written = new Promise<void>((resolve) => destination.once('close', resolve))
    destination.end()
    return Promise.race([written, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })])
  }
  return { logger, close }
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

function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const stack = error.stack?.slice(0, STACK_LENGTH_MAX)
  const fromDatabase = describeError(error)
  // The stack repeats the message, which of a database error may quote data.
  if (fromDatabase) return fromDatabase
  const code = 'code' in error ? error.code : undefined
  const cause = error.cause === undefined ? undefined : serializeError(error.cause)
  return { type: error.name, message: error.message, code, stack, cause }
}
