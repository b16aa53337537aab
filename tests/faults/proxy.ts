// A unix socket in front of PostgreSQL's, for a network that fails: what goes through it can stall, get lost, or be cut off.
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Mode =
  /** Everything goes through. */
  | 'pass'
  /** Nothing goes through, and nothing is lost: it comes when the mode changes. */
  | 'stall'
  /** What is sent in either direction is lost without a word. */
  | 'swallow'
  /** What PostgreSQL is sent arrives; what it answers is lost. */
  | 'mute'
  /** Connections are cut off, also new ones. */
  | 'reset'

export interface FaultProxy {
  /** The same database, through the proxy. */
  url: string
  /** Connections that PostgreSQL has been asked for. */
  dials: number
  /** Bytes that PostgreSQL has been sent. */
  bytesSent: number
  set(mode: Mode): void
  /** Loses what is sent in either direction over one of the open connections, the first being 0. */
  swallowOne(index: number): void
  close(): Promise<void>
}

export async function openProxy(databaseUrl: string): Promise<FaultProxy> {
  const target = new URL(databaseUrl)
  const port = 5432
  const targetPath = `${target.searchParams.get('host')}/.s.PGSQL.${port}`
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-proxy-'))
  const pairs = new Set<[Socket, Socket]>()
  const swallowed = new Set<[Socket, Socket]>()
  let mode: Mode = 'pass'
  const url = new URL(databaseUrl)
  url.searchParams.set('host', folder)

  const server = createServer((client) => {
    proxy.dials += 1
    client.on('error', () => undefined)
    if (mode === 'reset') {
      client.destroy()
      return
    }
    const upstream = connect(targetPath)
    const pair: [Socket, Socket] = [client, upstream]
    pairs.add(pair)
    const isLost = (isAnswer: boolean) =>
      mode === 'swallow' || (mode === 'mute' && isAnswer) || swallowed.has(pair)
    upstream.on('error', () => client.destroy())
    for (const [from, to] of [pair, [upstream, client]] as const) {
      from.on('data', (bytes) => {
        if (from === client) proxy.bytesSent += bytes.length
        if (!isLost(from === upstream)) to.write(bytes)
      })
      from.on('close', () => {
        pairs.delete(pair)
        // A network that loses bytes also loses the news of an end.
        if (!isLost(true)) to.destroy()
      })
    }
    if (mode === 'stall') for (const socket of pair) socket.pause()
  })
  await new Promise<void>((resolve) => server.listen(join(folder, `.s.PGSQL.${port}`), resolve))

  const proxy: FaultProxy = {
    url: url.href,
    dials: 0,
    bytesSent: 0,
    set: (next) => {
      mode = next
      for (const pair of pairs) {
        for (const socket of pair) {
          if (next === 'reset') socket.destroy()
          else if (next === 'stall') socket.pause()
          else socket.resume()
        }
      }
    },
    swallowOne: (index) => {
      const pair = [...pairs][index]
      if (!pair) throw new Error(`There is no connection ${index}`)
      swallowed.add(pair)
    },
    close: async () => {
      for (const pair of pairs) for (const socket of pair) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
  return proxy
}
