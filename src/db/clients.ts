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
    const opened = connection
    await settle(opened, signal, async () => {
      onWarming()
      await pinSession(opened, settings)
      pinned = true
      await prepareAll(opened, [...declared.values()])
    })
    return asPoolConnection(opened, declared)
  }
}

/** Connections of the published driver: slower, and known to more people. */
export function driverClient(address: Address, options: ClientOptions): Open {
  const settings = pinnedSettings(options)
  return async ({ onWarming, onClosed, signal }) => {
    // Loaded only here: the other client does without its memory.
    const { createDriverConnection } = await import('./driver/connection.ts')
    const connection = createDriverConnection(address, {
      connectTimeoutMs: options.connectTimeoutMs,
      answerTimeoutMs: options.statementTimeoutMs + ANSWER_GRACE_MS,
      settings,
      onClosed,
    })
    await settle(connection, signal, async () => {
      // The driver connects for its first statement.
      await connection.query('select 1')
      onWarming()
      await pinSession(connection, settings)
      await Promise.all(options.statements.map((statement) => connection.prepare(statement)))
    })
    return connection
  }
}

/** Makes a connection ready; destroys it when that fails, or when the pool closes meanwhile. */
async function settle(
  connection: { destroy(error: Error): void },
  signal: AbortSignal,
  steps: () => Promise<void>,
): Promise<void> {
  const giveUp = () => {
    connection.destroy(new ConnectionError('CONNECTION_DESTROYED', 'Opening was given up'))
  }
  signal.addEventListener('abort', giveUp)
  try {
    if (signal.aborted) giveUp()
    await steps()
  } catch (error) {
    connection.destroy(error as Error)
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
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
