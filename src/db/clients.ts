// Runs in listeners. The two clients that can carry the request path, each as what opens one connection of the pool.
import type { Address } from './address.ts'
import type { Statement as OwnStatement } from './operation.ts'
import { isPinnedValue, pinnedSettings, pinSession, type SessionOptions } from './session.ts'
import type { Open, PoolConnection } from './slot.ts'
import type { Connection } from './wire/connection.ts'
import { ConnectionError } from './wire/error.ts'
import { openConnection } from './wire/open.ts'
import { declareStatement, type Statement } from './wire/statement.ts'

export interface ClientOptions extends SessionOptions {
  connectTimeoutMs: number
  /** Every statement that will be asked for. */
  statements: readonly OwnStatement[]
}

/** What a statement gets on top of PostgreSQL's own limit before its connection counts as dead. */
const ANSWER_GRACE_MS = 1000
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024
const REPLY_BYTES_MAX = 64 * 1024 * 1024
const QUEUED_BYTES_MAX = 16 * 1024 * 1024

/** Connections of our own wire client. */
export function wireClient(address: Address, options: ClientOptions): Open {
  const declared = new Map(
    options.statements.map((statement) => [statement, declareStatement(statement)]),
  )
  const settings = pinnedSettings(options)
  return async ({ onWarming, onClosed, signal }) => {
    let pinned = false
    let connection: Connection | undefined
    connection = await openFirst(address, {
      connectTimeoutMs: options.connectTimeoutMs,
      answerTimeoutMs: options.statementTimeoutMs + ANSWER_GRACE_MS,
      messageBytesMax: MESSAGE_BYTES_MAX,
      replyBytesMax: REPLY_BYTES_MAX,
      queuedBytesMax: QUEUED_BYTES_MAX,
      signal,
      onClosed,
      onParameter: (name, value) => {
        if (!pinned || isPinnedValue(settings, name, value)) return
        connection?.destroy(new ConnectionError('SETTING_CHANGED', `Setting ${name} was changed`))
      },
    })
    try {
      onWarming()
      await pinSession(connection, settings)
      pinned = true
      await prepareAll(connection, [...declared.values()])
    } catch (error) {
      connection.destroy(error as Error)
      throw error
    }
    return asPoolConnection(connection, declared)
  }
}

/** Connections of the published driver: slower, and known to more people. */
export function driverClient(address: Address, options: ClientOptions): Open {
  const settings = pinnedSettings(options)
  return async ({ onWarming, onClosed }) => {
    // Loaded only here: the other client does without its memory.
    const { openDriverConnection } = await import('./driver/connection.ts')
    const connection = await openDriverConnection(address, {
      connectTimeoutMs: options.connectTimeoutMs,
      answerTimeoutMs: options.statementTimeoutMs + ANSWER_GRACE_MS,
      settings,
      onClosed,
    })
    try {
      onWarming()
      await pinSession(connection, settings)
      await Promise.all(options.statements.map((statement) => connection.prepare(statement)))
    } catch (error) {
      connection.destroy(error as Error)
      throw error
    }
    return connection
  }
}

type OpenOptions = Parameters<typeof openConnection>[2]

/** The hosts in their order, each once. */
async function openFirst(address: Address, options: OpenOptions): Promise<Connection> {
  let failure: unknown
  for (const host of address.hosts) {
    try {
      return await openConnection(address, host, options)
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

async function prepareAll(connection: Connection, statements: Statement[]): Promise<void> {
  await Promise.all(statements.map((statement) => connection.prepare(statement)))
}

function asPoolConnection(
  connection: Connection,
  declared: ReadonlyMap<OwnStatement, Statement>,
): PoolConnection {
  return {
    get inFlight() {
      return connection.inFlight
    },
    execute: (statement, parameters, sink) => {
      const known = declared.get(statement)
      if (known) connection.execute(known, parameters, sink)
      else sink.failed(new Error(`Statement ${statement.name} was not prepared`), false)
    },
    query: (text) => connection.query(text),
    destroy: (error) => connection.destroy(error),
    end: () => connection.end(),
  }
}
