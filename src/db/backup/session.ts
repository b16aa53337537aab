// Runs in the commands `backup`, `restore` and `seed`. One transaction on one connection of the driver (postgres), with COPY.
import type { Address } from '../address.ts'
import { openClient } from '../driver/client.ts'
import { pinnedSettings } from '../session.ts'
import { ConnectionError } from '../wire/error.ts'

const CONNECT_TIMEOUT_MS = 5000

/** What changes how values are written and read, and what would end a transaction that takes hours. */
const SETTINGS = {
  // Digits enough for each number to come back as it was.
  extra_float_digits: '1',
  // Rows that a policy hides would be missing without a word: with this, PostgreSQL refuses instead.
  row_security: 'off',
  // PostgreSQL 17 and newer.
  transaction_timeout: '0',
}

function pinText(applicationName: string): string {
  const settings = { ...pinnedSettings({ statementTimeoutMs: 0, applicationName }), ...SETTINGS }
  const rows = Object.entries(settings).map(([name, value]) => `('${name}', '${value}')`)
  return `select set_config(name, wanted, true)
    from (values ${rows.join(', ')}) as pinned (pinned, wanted)
    join pg_settings on name = pinned`
}

export interface Transaction {
  /** Names the session in PostgreSQL. */
  applicationName: string
  /** One snapshot for every statement, or a transaction that writes. */
  mode: 'repeatable read, read only' | 'read committed, read write'
  /** Tables that nobody may alter meanwhile: a snapshot from before a table was rewritten sees no rows in it. */
  unaltered?: readonly string[]
}

export interface Session {
  query<Row extends object>(text: string): Promise<Row[]>
  /** The output of `copy … to stdout`, no faster than it is read. */
  copyOut(text: string): AsyncIterable<Uint8Array>
  /** Starts `copy … from stdin`. */
  copyIn(text: string): Promise<CopyIn>
}

export interface CopyIn {
  /** Resolves when there is room for more. Rejects when PostgreSQL has refused something. */
  write(text: string): Promise<void>
  /** Resolves when PostgreSQL has taken all of it. */
  end(): Promise<void>
}

/** Commits when `work` resolves; when it rejects, nothing is changed. */
export async function inTransaction<Result>(
  address: Address,
  { applicationName, mode, unaltered = [] }: Transaction,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  let lost = false
  const sql = openClient(address, {
    max: 1,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    parameters: { application_name: applicationName },
    onClosed: () => {
      lost = true
    },
  })

  /** The driver would connect again, and run the statement outside of the transaction. */
  function send(text: string) {
    if (lost) throw new ConnectionError('CONNECTION_CLOSED', 'Connection lost')
    return sql.unsafe<object[]>(text)
  }

  const session: Session = {
    query: async <Row extends object>(text: string) => [...(await send(text))] as Row[],
    copyOut: (text) => copyOut(send(text)),
    copyIn: (text) => copyIn(send(text)),
  }
  try {
    await session.query(`begin isolation level ${mode}`)
    // The snapshot is taken by the first statement that reads.
    if (unaltered.length > 0) {
      await session.query(`lock table ${unaltered.join(', ')} in access share mode`)
    }
    await session.query(pinText(applicationName))
    const result = await work(session)
    await session.query('commit')
    await sql.end({ timeout: 1 })
    return result
  } catch (error) {
    // A rollback would have to wait for a COPY that is not over; the end of the connection does not.
    await sql.end({ timeout: 0 })
    throw error
  }
}

type Query = ReturnType<ReturnType<typeof openClient>['unsafe']>

async function* copyOut(query: Query): AsyncGenerator<Uint8Array> {
  const stream = await query.readable()
  yield* stream
  // The driver pauses its socket when the stream is full. When that was the end of the stream, nobody asks for more, and the
  // answer to the next statement would never be read.
  stream._read(0)
}

async function copyIn(query: Query): Promise<CopyIn> {
  // Once it has handed out the stream, the driver has nobody to give an error to that comes after the end of the data, when
  // PostgreSQL checks the last rows and the foreign keys: it forgets the error, and the stream never finishes.
  const failed = new Promise<never>((_, reject) => Object.assign(query, { reject }))
  failed.catch(() => undefined)
  const stream = await Promise.race([query.writable(), failed])
  // It is the same error.
  stream.on('error', () => undefined)

  /** Resolves when `stream` says so. */
  function when(step: (done: () => void) => void): Promise<void> {
    return Promise.race([failed, new Promise<void>(step)])
  }

  return {
    write: (text) => when((done) => stream.write(text, () => done())),
    end: () => when((done) => stream.end(done)),
  }
}
