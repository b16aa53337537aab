// Runs in listeners. Asks PostgreSQL to cancel the statement of another connection.
import type { Address, Host } from '../address.ts'
import { CANCEL_REQUEST } from './protocol.ts'
import { openWire } from './socket.ts'
import type { BackendKey } from './startup.ts'

/** Resolves when PostgreSQL has closed the connection of the request, or after `timeoutMs`. Never rejects. */
export function sendCancel(
  address: Address,
  host: Host,
  { processId, secret }: BackendKey,
  timeoutMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    let giveUp = () => resolve()
    const timer = setTimeout(() => giveUp(), timeoutMs)
    const finish = () => {
      clearTimeout(timer)
      giveUp()
      resolve()
    }
    const opened = openWire(host, address.tls, (socket) => {
      giveUp = () => socket.destroy()
    })
    opened.then((wire) => {
      wire.onEnd = finish
      wire.onBytes = finish
      const request = Buffer.alloc(16)
      request.writeInt32BE(request.length)
      request.writeInt32BE(CANCEL_REQUEST, 4)
      request.writeInt32BE(processId, 8)
      request.writeInt32BE(secret, 12)
      wire.socket.write(request)
    }, finish)
  })
}
