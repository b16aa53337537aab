// Runs in listeners. How many connections a listener takes, and what becomes of those beyond.
import { readFileSync } from 'node:fs'
import type { Logger } from '../observe/log.ts'
import { Sampling } from '../observe/sampling.ts'
import { Census } from './census.ts'
import { type Clients, clientKey } from './client.ts'
import { countPeers } from './peers.ts'
import type { TemplatedApp } from './uws.ts'

/** Descriptors for all but clients and what the listener counts itself: modules, loops, log, a connection being closed. */
const RESERVED_DESCRIPTORS = 64
/** One client alone may have one in so many connections. */
const ALONE_PART = 4
const REFUSED = 'Client has its share of connections, closing further ones'

export interface ConnectionCount {
  open: number
  /** When the last one was opened, by `performance.now()`. */
  openedAtMs: number
  /** Connections that were closed at once, by the reason. */
  readonly refused: { limit: number; client_share: number }
}

export interface ConnectionLimit {
  /** What is wanted. */
  connections: number
  /** Descriptors that other parts of the listener may open while it runs. */
  otherDescriptors: number
}

/** So many connections this process can have with the descriptors that it may open. */
export function possibleConnections({ otherDescriptors }: ConnectionLimit): {
  descriptors: number
  possible: number
} {
  const descriptors = readDescriptorLimit()
  return {
    descriptors,
    possible: Math.max(descriptors - RESERVED_DESCRIPTORS - otherDescriptors, 1),
  }
}

/**
 * The wanted limit, or less when this process may not open enough descriptors. Without a descriptor, a connection cannot
 * even be closed: it stays in the queue of the socket, and the loop spins over it.
 */
export function boundConnections(limit: ConnectionLimit, log: Logger): number {
  const { descriptors, possible } = possibleConnections(limit)
  if (limit.connections <= possible) return limit.connections
  log.warn(
    { wanted: limit.connections, limit: possible, open_files: descriptors },
    `MAX_CONNECTIONS is ${limit.connections}, but with at most ${descriptors} open files only ${possible} are accepted`,
  )
  return possible
}

export interface ConnectionRules {
  /** All connections together. */
  readonly max: number
  /** Those of one client while no other has any; a quarter by default. */
  readonly perClient: number | undefined
  /** Port of the listener. */
  readonly port: number
  readonly clients: Clients
}

/**
 * Counts connections and closes those beyond the limit, or beyond their client's share. Trusted proxies have no share:
 * all of their clients come over their connections.
 */
export function countConnections(
  app: TemplatedApp,
  { max, perClient, port, clients }: ConnectionRules,
  log: Logger,
): ConnectionCount {
  const refused = { limit: 0, client_share: 0 }
  const count: ConnectionCount = { open: 0, openedAtMs: 0, refused }
  const alone = Math.min(perClient ?? Math.ceil(max / ALONE_PART), max)
  const census = new Census({ max, alone, least: 1 }, () => countPeers(port), log)
  const refusals = new Sampling()
  let full = false
  app.filter((response, change) => {
    count.open += Number(change) > 0 ? 1 : -1
    if (Number(change) < 0) {
      if (count.open < max) full = false
      return
    }
    count.openedAtMs = performance.now()
    if (count.open > max) {
      if (!full) log.warn({ limit: max }, 'Connection limit reached, closing new connections')
      full = true
      refused.limit += 1
      response.close()
      return
    }
    const peer = new Uint8Array(response.getRemoteAddress())
    if (alone === max || clients.isProxy(peer)) return
    const client = clientKey(peer)
    // Without an address it was reset before it was accepted, and is about to end.
    if (client === '' || census.admit(client, count.open)) return
    refused.client_share += 1
    refusals.add('', (repeats) => log.warn({ client, repeats }, REFUSED))
    response.close()
  })
  return count
}

/** The soft limit, which Node has raised to the hard one; none where there is no such file, or no limit. */
function readDescriptorLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
