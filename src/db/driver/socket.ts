// Runs in listeners, with DB_CLIENT=postgres. Opens its sockets as those of the wire client are opened, because
// it reads addresses in its own way: with it, TLS to an IP address is checked against "localhost".
import { Socket } from 'node:net'
import type { Address, Host } from '../address.ts'
import { ConnectionError } from '../wire/error.ts'
import { openWire } from '../wire/socket.ts'

export interface SocketOptions {
  /** Longest wait for each host. */
  connectTimeoutMs: number
  signal: AbortSignal
}

/**
 * A socket to the first host that accepts one. Never rejects: the driver would wait for that connection for ever, so it
 * gets a socket that fails.
 */
export async function openSocket(address: Address, options: SocketOptions): Promise<Socket> {
  let failure: unknown
  for (const host of address.hosts) {
    try {
      return await openTo(host, address, options)
    } catch (error) {
      failure ??= error
    }
  }
  return failingSocket(failure as Error)
}

async function openTo(host: Host, { tls }: Address, options: SocketOptions): Promise<Socket> {
  let opening: Socket | undefined
  const fail = (code: string, text: string) => opening?.destroy(new ConnectionError(code, text))
  const abort = () => void fail('CONNECTION_DESTROYED', 'Opening was given up')
  const timer = setTimeout(() => {
    fail('CONNECT_TIMEOUT', `No connection within ${options.connectTimeoutMs} ms`)
  }, options.connectTimeoutMs)
  options.signal.addEventListener('abort', abort)
  try {
    const onSocket = (socket: Socket) => {
      opening = socket
      if (options.signal.aborted) abort()
    }
    const wire = await openWire(host, tls, onSocket, 'by-the-caller')
    // From here on, the driver listens to the socket.
    wire.onBytes = () => undefined
    wire.onEnd = () => undefined
    return wire.socket
  } finally {
    clearTimeout(timer)
    options.signal.removeEventListener('abort', abort)
  }
}

/**
 * It fails with the driver's first write. Earlier, the driver would keep that write back for the next connection, and then
 * never write again: a close clears the timer of its writes, but not the mark that there is one.
 */
function failingSocket(error: Error): Socket {
  const socket = new Socket()
  socket.write = () => {
    socket.destroy(error)
    return false
  }
  return socket
}
