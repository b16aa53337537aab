// Stands between the client and PostgreSQL and changes one byte of what PostgreSQL says.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Proxy {
  port: number
  /** Resets every connection, as a firewall does that has forgotten it. */
  reset(): void
  close(): void
}

/** Flips bits of byte number `at` of each connection. */
export async function startProxy(target: number, at: number, bits: number): Promise<Proxy> {
  const sockets: Socket[] = []
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    let said = 0
    for (const socket of [client, upstream]) {
      sockets.push(socket)
      socket.on('error', () => undefined)
    }
    client.on('data', (bytes: Buffer) => upstream.write(bytes))
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    upstream.on('data', (bytes: Buffer) => {
      const index = at - said
      said += bytes.length
      if (index >= 0 && index < bytes.length) bytes[index] = (bytes[index] ?? 0) ^ bits
      client.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return {
    port: address.port,
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
