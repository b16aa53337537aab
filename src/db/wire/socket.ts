// Runs in every process that talks to PostgreSQL. The socket to PostgreSQL: TCP or unix, with TLS where the address
// asks for it.
import { connect as connectPlain, type NetConnectOpts, type Socket } from 'node:net'
import { type Host, socketPath, type TlsOptions } from '../address.ts'
import { ConnectionError, violation } from './error.ts'
import { SSL_REQUEST } from './protocol.ts'

const READ_BYTES = 65_536
/** A dead network is found by the kernel this long after the last byte, where no call waits. */
const KEEPALIVE_DELAY_MS = 30_000
const ACCEPTED = 0x53 // S
const DECLINED = 0x4e // N

/** An open socket. Until they are set, bytes and ends are failures. */
export interface Wire {
  socket: Socket
  /** The first `length` of these bytes have come; they are valid during the call only. */
  onBytes: (bytes: Buffer, length: number) => void
  onEnd: (error: Error) => void
  encrypted: boolean
  /** True for a unix socket. */
  local: boolean
  /** The server's certificate (DER), with TLS. */
  certificate: Buffer | undefined
}

/**
 * Opens the socket; `onSocket` gets it at once, so that the caller can destroy it at any time. A socket that is read by the
 * caller has the events of every socket.
 */
export async function openWire(
  host: Host,
  tls: TlsOptions,
  onSocket: (socket: Socket) => void,
  isRead: 'here' | 'by-the-caller' = 'here',
): Promise<Wire> {
  const path = socketPath(host)
  const asksForTls = path === undefined && tls.mode !== 'disable'
  const wire: Wire = {
    socket: undefined as unknown as Socket,
    onBytes: () => wire.onEnd(violation('PostgreSQL spoke before it was asked')),
    onEnd: () => undefined,
    encrypted: false,
    local: path !== undefined,
    certificate: undefined,
  }
  const target = path === undefined ? { host: host.name, port: host.port } : { path }
  const hasEvents = asksForTls || isRead === 'by-the-caller'
  const socket = connectPlain(hasEvents ? target : withOneBuffer(target, wire))
  wire.socket = socket
  onSocket(socket)
  try {
    await opened(wire, socket, 'connect')
  } catch (error) {
    throw describeFailure(error, host)
  }
  socket.setNoDelay(true)
  if (!wire.local) socket.setKeepAlive(true, KEEPALIVE_DELAY_MS)
  if (!asksForTls) return wire
  if (await isTlsAccepted(wire, socket)) await secure(wire, socket, host, tls, onSocket)
  else if (tls.mode !== 'prefer') {
    throw new ConnectionError('TLS_REFUSED', 'PostgreSQL does not offer TLS, and sslmode wants it')
  }
  wire.socket.on('data', (bytes: Buffer) => wire.onBytes(bytes, bytes.length))
  wire.socket.resume()
  return wire
}

/** Plain sockets are read into one buffer, without the objects of a stream. */
function withOneBuffer(target: NetConnectOpts, wire: Wire): NetConnectOpts {
  const onread = {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback: (length: number, bytes: Uint8Array): boolean => {
      wire.onBytes(bytes as Buffer, length)
      return true
    },
  }
  return { ...target, onread }
}

/** Waits for the event that opens the socket, and from then on for its end. */
function opened(wire: Wire, socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    wire.onEnd = reject
    socket.once(event, resolve)
    socket.on('error', (error) => wire.onEnd(error))
    socket.on('end', () => wire.onEnd(closedByServer()))
    socket.on('close', () => wire.onEnd(closedByServer()))
  })
}

function closedByServer(): ConnectionError {
  return new ConnectionError('CONNECTION_CLOSED', 'PostgreSQL closed the connection')
}

/** Anything behind the one byte of the answer was sent by somebody who hopes that it passes as encrypted. */
function isTlsAccepted(wire: Wire, socket: Socket): Promise<boolean> {
  return new Promise((resolve, reject) => {
    wire.onEnd = reject
    socket.once('data', (bytes: Buffer) => {
      const answer = bytes[0]
      if (bytes.length !== 1 || (answer !== ACCEPTED && answer !== DECLINED)) {
        reject(violation('PostgreSQL sent no clean answer to the wish for TLS'))
        return
      }
      socket.pause()
      resolve(answer === ACCEPTED)
    })
    const request = Buffer.alloc(8)
    request.writeInt32BE(8)
    request.writeInt32BE(SSL_REQUEST, 4)
    socket.write(request)
  })
}

async function secure(
  wire: Wire,
  plain: Socket,
  { name }: Host,
  tls: TlsOptions,
  onSocket: (socket: Socket) => void,
): Promise<void> {
  // Loaded for the first encrypted connection: it takes half a megabyte.
  const { connectTls, readTlsOptions } = await import('./tls.ts')
  const options = await readTlsOptions(tls, name)
  // Reading the files took a while, in which the connection may have gone.
  if (plain.destroyed) throw closedByServer()
  plain.removeAllListeners('end')
  plain.removeAllListeners('close')
  const socket = connectTls({ ...options, socket: plain })
  wire.socket = socket
  onSocket(socket)
  await opened(wire, socket, 'secureConnect')
  wire.encrypted = true
  wire.certificate = socket.getPeerX509Certificate()?.raw
}

/** With several addresses behind a name, Node's error has no message. */
function describeFailure(error: unknown, { name, port }: Host): Error {
  if (!(error instanceof Error) || error instanceof ConnectionError) return error as Error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'CONNECTION_CLOSED'
  return new ConnectionError(code, `Cannot connect to ${name} port ${port}: ${code}`, error)
}
