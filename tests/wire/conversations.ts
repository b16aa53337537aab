// What the tests of the wire client have in common.
import { type Address, readAddress } from '../../src/db/address.ts'
import type { Sink } from '../../src/db/wire/calls.ts'
import type { Connection } from '../../src/db/wire/connection.ts'
import { type OpenOptions, openConnection } from '../../src/db/wire/open.ts'
import type { Parameter } from '../../src/db/wire/parameters.ts'
import { declareStatement, type Statement } from '../../src/db/wire/statement.ts'
import { ANY, INT4, TEXT } from '../../src/db/wire/types.ts'

export const ECHO = declareStatement({
  name: 'echo',
  text: 'select $1::text',
  parameters: [TEXT],
  columns: [TEXT],
})
export const SLEEP = declareStatement({
  name: 'sleep',
  text: 'select pg_sleep($1)::text',
  parameters: [ANY],
  columns: [TEXT],
})
export const SERIES = declareStatement({
  name: 'series',
  text: 'select i::text, null::text from generate_series(1, $1::int4) i',
  parameters: [INT4],
  columns: [TEXT, TEXT],
})

export const LIMITS = {
  connectTimeoutMs: 5000,
  answerTimeoutMs: 10_000,
  messageBytesMax: 4 * 1024 * 1024,
  replyBytesMax: 16 * 1024 * 1024,
  queuedBytesMax: 4 * 1024 * 1024,
}

export function open(url: string, options: Partial<OpenOptions> = {}): Promise<Connection> {
  return openAt(readAddress(url), options)
}

export function openAt(address: Address, options: Partial<OpenOptions> = {}): Promise<Connection> {
  const [host] = address.hosts
  if (!host) throw new Error('The address has no host')
  return openConnection(address, host, { ...LIMITS, ...options })
}

/** How a call ended. */
export interface Outcome {
  rows: (string | null)[][]
  count?: number
  error?: Error & { code?: string }
  sent?: boolean
  /** How often it was settled: once, or something is wrong. */
  settled: number
}

/** A sink that keeps everything; `outcome` resolves when the call is settled. */
export function collect(check?: (row: (string | null)[]) => void): {
  sink: Sink
  outcome: Promise<Outcome>
} {
  const outcome: Outcome = { rows: [], settled: 0 }
  let settle: (outcome: Outcome) => void
  const settled = new Promise<Outcome>((resolve) => {
    settle = resolve
  })
  const sink: Sink = {
    row: (bytes, fields, columns) => {
      const row = Array.from({ length: columns }, (_, index) => {
        const start = fields[2 * index] ?? 0
        const length = fields[2 * index + 1] ?? -1
        return length < 0 ? null : bytes.toString('utf8', start, start + length)
      })
      check?.(row)
      outcome.rows.push(row)
    },
    done: (count) => {
      outcome.settled += 1
      outcome.count = count
      settle(outcome)
    },
    failed: (error, sent) => {
      outcome.settled += 1
      outcome.error = error
      outcome.sent = sent
      settle(outcome)
    },
  }
  return { sink, outcome: settled }
}

export function call(
  connection: Connection,
  statement: Statement,
  ...parameters: Parameter[]
): Promise<Outcome> {
  const { sink, outcome } = collect()
  connection.execute(statement, parameters, sink)
  return outcome
}

/** The code of the error that `promise` rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => 'resolved',
    (reason: unknown) => reason,
  )
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
