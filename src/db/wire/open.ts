// Runs in every process that talks to PostgreSQL. Opens one connection to one host. Tries nothing twice: that is for the pool to decide.
import type { Socket } from 'node:net'
import type { Address, Host } from '../address.ts'
import { Connection, type ConnectionLimits } from './connection.ts'
import { ConnectionError, type PostgresError } from './error.ts'
import { Mailbox } from './mailbox.ts'
import { MESSAGE } from './protocol.ts'
import { MessageReader } from './reader.ts'
import { Replies } from './replies.ts'
import { openWire, type Wire } from './socket.ts'
import { checkParameters, startSession } from './startup.ts'

export interface OpenOptions extends ConnectionLimits {
  /** From here to a server that is ready, in milliseconds. */
  connectTimeoutMs: number
  /** Settings that go with the start-up message. Poolers refuse most of them. */
  parameters?: Readonly<Record<string, string>>
  signal?: AbortSignal
  /** Called once, after every call in flight has been settled; never when opening fails. */
  onClosed?: (error: Error) => void
  onParameter?: (name: string, value: string) => void
  onNotice?: (notice: PostgresError) => void
  onNotification?: (channel: string, payload: string) => void
}

/** Before anybody has proved who they are, nobody may send long messages. */
const START_MESSAGE_BYTES_MAX = 65_536

/** Resolves when PostgreSQL is ready for statements. */
export async function openConnection(
  address: Address,
  host: Host,
  options: OpenOptions,
): Promise<Connection> {
  const opening = new Opening()
  const timer = setTimeout(() => {
    const text = `PostgreSQL was not ready within ${options.connectTimeoutMs} ms`
    opening.fail(new ConnectionError('CONNECT_TIMEOUT', text))
  }, options.connectTimeoutMs)
  const abort = () => opening.fail(abortError(options.signal))
  options.signal?.addEventListener('abort', abort)
  try {
    if (options.signal?.aborted) abort()
    return await open(address, host, options, opening)
  } catch (error) {
    throw opening.fail(error as Error)
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', abort)
  }
}

/** What a failure at any moment has to reach. */
class Opening {
  readonly mailbox = new Mailbox()
  #failure: Error | undefined
  #socket: Socket | undefined

  /** Gives everything up; answers the first failure, which is the cause of the later ones. */
  fail(error: Error): Error {
    this.#failure ??= error
    this.#socket?.destroy()
    this.mailbox.fail(this.#failure)
    return this.#failure
  }

  use(socket: Socket): void {
    this.#socket = socket
    if (this.#failure) socket.destroy()
  }

  check(): void {
    if (this.#failure) throw this.#failure
  }
}

async function open(
  address: Address,
  host: Host,
  options: OpenOptions,
  opening: Opening,
): Promise<Connection> {
  opening.check()
  const wire = await openWire(host, address.tls, (socket) => opening.use(socket))
  const parameters = new Map<string, string>()
  const reports = {
    ...options,
    onParameter: (name: string, value: string) => {
      keepParameter(parameters, name, value)
      options.onParameter?.(name, value)
    },
  }
  const replies = new Replies(options.replyBytesMax, reports, options.keepsTransactions)
  const reader = listenToStart(wire, opening, replies, options)
  const session = await startSession(
    opening.mailbox,
    (bytes) => wire.socket.write(bytes),
    wire,
    {
      credentials: {
        user: address.user,
        password: address.password,
        channelBinding: address.channelBinding,
      },
      database: address.database,
      parameters: startParameters(address, options),
    },
    options,
  )
  for (const [name, value] of session.parameters) parameters.set(name, value)
  opening.check()
  return new Connection(
    { wire, reader, replies, parameters, processId: session.processId },
    options,
  )
}

/** Messages go to the start until PostgreSQL is ready, and what comes behind that in the same bytes to `replies`. */
function listenToStart(
  wire: Wire,
  opening: Opening,
  replies: Replies,
  options: OpenOptions,
): MessageReader {
  const reader = new MessageReader(START_MESSAGE_BYTES_MAX, (code, bytes, start, end) => {
    opening.mailbox.put(code, bytes, start, end)
    if (code !== MESSAGE.READY_FOR_QUERY) return
    reader.messageBytesMax = options.messageBytesMax
    reader.take = (nextCode, nextBytes, nextStart, nextEnd) =>
      replies.take(nextCode, nextBytes, nextStart, nextEnd)
  })
  wire.onEnd = (error) => opening.fail(error)
  wire.onBytes = (bytes, length) => {
    try {
      reader.feed(bytes, length)
    } catch (error) {
      opening.fail(error as Error)
    }
  }
  return reader
}

function startParameters(address: Address, options: OpenOptions): Record<string, string> {
  return {
    ...(address.applicationName ? { application_name: address.applicationName } : {}),
    ...(address.options ? { options: address.options } : {}),
    ...options.parameters,
  }
}

function abortError(signal: AbortSignal | undefined): Error {
  return new ConnectionError('CONNECTION_DESTROYED', 'Opening was given up', signal?.reason)
}

/** Keeps no names that were not there at start: a server may send any number of them. */
function keepParameter(parameters: Map<string, string>, name: string, value: string): void {
  if (!parameters.has(name)) return
  parameters.set(name, value)
  checkParameters(parameters)
}
