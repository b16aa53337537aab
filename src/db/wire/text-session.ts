// Runs in the process that the user started. A session for SQL as text, one message after the other, with transactions that
// go over several of them: what migrations and the local server need, and requests never do.
import type { Address, Host } from '../address.ts'
import type { Connection } from './connection.ts'
import { ConnectionError } from './error.ts'
import { openFirst } from './hosts.ts'
import { openConnection } from './open.ts'

export interface TextSessionOptions {
  /** From here to a server that has answered, for each host, unless the address says it. */
  connectTimeoutMs: number
  /** Settings that go with the start-up message. Poolers refuse most of them. */
  parameters?: Readonly<Record<string, string>>
  /** Ends the opening; an open session is destroyed by its owner. */
  signal?: AbortSignal
}

/**
 * `query` runs any number of statements and answers the rows of all. An error skips what is behind it in the same message;
 * a transaction that was begun stays open, and ends with the session. A lost session fails what it was asked, and stays lost.
 */
export type TextSession = Pick<
  Connection,
  'query' | 'destroy' | 'end' | 'processId' | 'parameters' | 'tlsVersion'
>

/** A statement may take as long as it takes, so only the kernel finds out that the network is dead. A timer goes no higher. */
const ANSWER_TIMEOUT_MS = 2 ** 31 - 1
const BYTES_MAX = 64 * 1024 * 1024

/** On the first host that can be used, by the rules that requests have: a standby only when any server will do. */
export function openTextSession(
  address: Address,
  options: TextSessionOptions,
): Promise<TextSession> {
  return openFirst(address, (host) => openOn(host, address, options))
}

async function openOn(
  host: Host,
  address: Address,
  { connectTimeoutMs, parameters, signal }: TextSessionOptions,
): Promise<TextSession> {
  const timeoutMs = address.connectTimeoutMs ?? connectTimeoutMs
  const connection = await openConnection(address, host, {
    connectTimeoutMs: timeoutMs,
    answerTimeoutMs: ANSWER_TIMEOUT_MS,
    messageBytesMax: BYTES_MAX,
    replyBytesMax: BYTES_MAX,
    queuedBytesMax: BYTES_MAX,
    keepsTransactions: true,
    ...(parameters ? { parameters } : {}),
    ...(signal ? { signal } : {}),
  })
  const giveUp = (code: string, text: string) => {
    connection.destroy(new ConnectionError(code, text))
  }
  // A pooler says that it is ready before it has a server.
  const late = setTimeout(giveUp, timeoutMs, 'CONNECT_TIMEOUT', 'PostgreSQL does not answer')
  const abort = () => giveUp('CONNECTION_DESTROYED', 'Opening was given up')
  signal?.addEventListener('abort', abort)
  try {
    const [row] = await connection.query('select pg_is_in_recovery()')
    if (row?.[0] === 't' && address.targetSession !== 'any') {
      throw new ConnectionError('25006', 'The server is a standby that only reads')
    }
    return connection
  } catch (error) {
    connection.destroy(error as Error)
    throw error
  } finally {
    clearTimeout(late)
    signal?.removeEventListener('abort', abort)
  }
}
