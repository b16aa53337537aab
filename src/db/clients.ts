// Runs in listeners. The two clients that can carry the request path, each as what opens one connection of the pool.
import type { Address, Host } from './address.ts'
import type { Statement as OwnStatement } from './operation.ts'
import { SessionCheck } from './pooling.ts'
import {
  checkSession,
  isPinnedValue,
  meaningSettings,
  pinnedSettings,
  pinSession,
  type SessionOptions,
  startSettings,
} from './session.ts'
import type { Open, PoolConnection } from './slot.ts'
import type { Connection } from './wire/connection.ts'
import { ConnectionError } from './wire/error.ts'
import { openFirst } from './wire/hosts.ts'
import { openConnection } from './wire/open.ts'
import { declareStatement, type Statement } from './wire/statement.ts'

export interface ClientOptions extends SessionOptions {
  /** For addresses that do not say it themselves. */
  connectTimeoutMs: number
  /** Every statement that will be asked for. */
  statements: readonly OwnStatement[]
  /** What stands before PostgreSQL; `none` (the default) also for a pooler that keeps sessions. */
  pooler?: 'none' | 'transaction'
  /** Called once when a `transaction` pooler hands out sessions without our limits, with the SQL that sets them. */
  onLimitsUnset?: (repair: string) => void
}

/** What a statement gets on top of PostgreSQL's own limit before its connection counts as dead. */
const ANSWER_GRACE_MS = 1000
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024
const REPLY_BYTES_MAX = 64 * 1024 * 1024
const QUEUED_BYTES_MAX = 16 * 1024 * 1024

/** Connections of our own wire client. */
export function wireClient(address: Address, options: ClientOptions): Open {
  const client = new WireClient(address, options)
  return (handlers) => client.open(handlers)
}

/** The hosts in their order, each once: the first that is reachable and that may be used. */
class WireClient {
  readonly #address: Address
  readonly #options: ClientOptions
  readonly #settings: Readonly<Record<string, string>>
  readonly #declared: ReadonlyMap<OwnStatement, Statement>
  readonly #sessions = new SessionCheck()
  #warned = false

  constructor(address: Address, options: ClientOptions) {
    this.#address = address
    this.#options = options
    this.#settings = pinnedSettings(options)
    // Without a session nothing keeps a name: each call brings its text along.
    const named = options.pooler === 'transaction' ? { name: '' } : {}
    this.#declared = new Map(
      options.statements.map((each) => [each, declareStatement({ ...each, ...named })]),
    )
  }

  async open(handlers: Handlers): Promise<PoolConnection> {
    try {
      const connection = await openFirst(this.#address, (host) => this.#openOn(host, handlers))
      return asPoolConnection(connection, this.#declared)
    } catch (error) {
      handlers.onClosed(error as Error)
      throw error
    }
  }

  async #openOn(host: Host, handlers: Handlers): Promise<Connection> {
    let connection: Connection | undefined
    let settled = false
    let usable = false
    let ended: Error | undefined
    const { signal } = handlers
    const transaction = this.#options.pooler === 'transaction'
    const watched = transaction ? meaningSettings(this.#settings) : this.#settings
    connection = await this.#connect(host, {
      signal,
      onClosed: (error) => {
        ended = error
        this.#sessions.forget()
        if (usable) handlers.onClosed(error)
      },
      onParameter: (name, value) => {
        if (!settled || isPinnedValue(watched, name, value)) return
        connection?.destroy(new ConnectionError('SETTING_CHANGED', `Setting ${name} was changed`))
      },
    })
    const opened = connection
    await settle(opened, signal, async () => {
      handlers.onWarming()
      if (transaction) await this.#check(opened)
      else await this.#pin(opened, host, signal)
      settled = true
      await prepareAll(opened, [...this.#declared.values()])
    })
    // It may have ended together with its last answer.
    if (ended) throw ended
    usable = true
    return opened
  }

  #connect(host: Host, handlers: Partial<OpenOptions>): Promise<Connection> {
    const { connectTimeoutMs, statementTimeoutMs, pooler } = this.#options
    return openConnection(this.#address, host, {
      connectTimeoutMs: this.#address.connectTimeoutMs ?? connectTimeoutMs,
      answerTimeoutMs: statementTimeoutMs + ANSWER_GRACE_MS,
      messageBytesMax: MESSAGE_BYTES_MAX,
      replyBytesMax: REPLY_BYTES_MAX,
      queuedBytesMax: QUEUED_BYTES_MAX,
      ...(pooler === 'transaction'
        ? { takesTurns: true, parameters: startSettings(this.#settings) }
        : {}),
      ...handlers,
    })
  }

  async #pin(connection: Connection, host: Host, signal: AbortSignal): Promise<void> {
    await this.#sessions.check(connection, (timeout) =>
      this.#connect(host, { signal: AbortSignal.any([signal, timeout]) }),
    )
    await pinSession(connection, this.#settings, this.#target)
  }

  async #check(connection: Connection): Promise<void> {
    const repairs = await checkSession(connection, this.#settings, this.#target)
    if (repairs.length === 0 || this.#warned) return
    this.#warned = true
    this.#options.onLimitsUnset?.(repairs.join('; '))
  }

  get #target(): { mustWrite: boolean } {
    return { mustWrite: this.#address.targetSession !== 'any' }
  }
}

/** Connections of the published driver: slower, and known to more people. */
export function driverClient(address: Address, options: ClientOptions): Open {
  const settings = pinnedSettings(options)
  const sessions = new SessionCheck()
  return async ({ onWarming, onClosed, signal }) => {
    // Loaded only here: the other client does without its memory.
    const { createDriverConnection } = await import('./driver/connection.ts')
    const create = (onEnd: (error: Error) => void) =>
      createDriverConnection(address, {
        connectTimeoutMs: options.connectTimeoutMs,
        answerTimeoutMs: options.statementTimeoutMs + ANSWER_GRACE_MS,
        settings,
        onClosed: onEnd,
      })
    const connection = create((error) => {
      sessions.forget()
      onClosed(error)
    })
    await settle(connection, signal, async () => {
      // The driver connects for its first statement.
      await connection.query('select 1')
      onWarming()
      await sessions.check(connection, async () => create(() => undefined))
      await pinSession(connection, settings, { mustWrite: true })
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

type Handlers = Parameters<Open>[0]
type OpenOptions = Parameters<typeof openConnection>[2]

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
