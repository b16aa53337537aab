// Runs in listeners. Who is connected to this process, as the kernel knows it: uWebSockets.js does not say whose connection
// has ended, because by then it has closed the socket and the address is gone.
import { readdirSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { clientKey } from './client.ts'

/** Work between two turns of the event loop, a millisecond or so: requests must not wait for the count. */
const LINKS_PER_TURN = 64
const ROWS_PER_TURN = 1024
const LISTENING = '0A'
const WORD_DIGITS = 8
const BYTE_DIGITS = 2

/**
 * Counts the connections of this process on a port, by client: those that were open at the call, and the few that get
 * the descriptor of one that ends meanwhile. Linux only: rejects elsewhere.
 */
export async function countPeers(port: number): Promise<Map<string, number>> {
  const own = await inodesOf(readdirSync('/proc/self/fd'))
  const counts = new Map<string, number>()
  const portDigits = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
  for (const table of ['tcp', 'tcp6']) {
    const rows = (await readTable(table)).split('\n')
    for (const [index, row] of rows.entries()) {
      if (index % ROWS_PER_TURN === 0) await nextTurn()
      const client = row.includes(portDigits) ? readRow(row, portDigits, own) : undefined
      if (client !== undefined) counts.set(client, (counts.get(client) ?? 0) + 1)
    }
  }
  return counts
}

/** The inodes of the sockets among descriptors. */
async function inodesOf(descriptors: readonly string[]): Promise<Set<string>> {
  const inodes = new Set<string>()
  for (const [index, descriptor] of descriptors.entries()) {
    if (index % LINKS_PER_TURN === 0) await nextTurn()
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readLink(descriptor)) ?? []
    if (inode !== undefined) inodes.add(inode)
  }
  return inodes
}

/** Empty when the descriptor has been closed meanwhile. */
function readLink(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return ''
  }
}

/** All connections of the machine or container. A kernel without IPv6 has one table only. */
async function readTable(name: string): Promise<string> {
  try {
    return await readFile(`/proc/self/net/${name}`, 'latin1')
  } catch (error) {
    if (name === 'tcp6') return ''
    throw error
  }
}

/** The client of a row of the table, when it is one of our connections. */
function readRow(row: string, portDigits: string, own: ReadonlySet<string>): string | undefined {
  const [, local, remote, state, , , , , , inode] = row.trim().split(/\s+/, 10)
  if (!local || !remote || !inode || state === LISTENING || !own.has(inode)) return undefined
  if (!`${local} `.endsWith(portDigits)) return undefined
  return clientKey(bytesOf(remote.split(':')[0] ?? ''))
}

/** The bytes of an address whose words are written in the order of the machine, which is little-endian everywhere here. */
function bytesOf(digits: string): Uint8Array {
  const bytes: number[] = []
  for (let at = 0; at < digits.length; at += WORD_DIGITS) {
    for (let digit = at + WORD_DIGITS - BYTE_DIGITS; digit >= at; digit -= BYTE_DIGITS) {
      bytes.push(Number.parseInt(digits.slice(digit, digit + BYTE_DIGITS), 16))
    }
  }
  return Uint8Array.from(bytes)
}
