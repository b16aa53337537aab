// Runs in the process that the user started. Finds the place where the service listens, and makes sure that nobody else does.
import { createHash } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { access, constants, lstat, realpath, rm } from 'node:fs/promises'
import { connect, isIP } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { SetupError } from '../../db/setup-error.ts'
import type { Config } from '../config/config.ts'
import { isSocketPath } from '../config/kinds.ts'
import { claim, probePort, probeSocket } from './claims.ts'

export type Place = Pick<Config, 'SERVER_HOST' | 'SERVER_PORT'>

/** Why it cannot listen there, and what helps, by the code of the error. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'another program, or another copy of taskapi, listens there; set SERVER_PORT to a free port',
  EADDRNOTAVAIL:
    'this machine does not have that address; set SERVER_HOST to one that it has, or to 0.0.0.0 for all',
  EACCES: 'this user may not; set SERVER_PORT to 1024 or more',
  ENOTFOUND: 'there is no address of that name; set SERVER_HOST to an address',
  EAI_AGAIN: 'the name cannot be looked up now; set SERVER_HOST to an address',
}

/** The same for the path of a unix socket. */
const SOCKET_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'another program, or another copy of taskapi, listens there; set SERVER_HOST to another path',
  ENOENT: 'its folder does not exist; make it, or set SERVER_HOST to another path',
  ENOTDIR: 'its folder is a file; set SERVER_HOST to another path',
  EACCES: 'this user may not write in its folder; set SERVER_HOST to another path',
  EROFS: 'its folder is on a read-only file system; set SERVER_HOST to another path',
}

/** Takes the place for the life of this process: an address instead of a name, and a port instead of 0. */
export async function takePlace({ SERVER_HOST: host, SERVER_PORT: port }: Place): Promise<Place> {
  if (isSocketPath(host)) {
    await takeSocket(host)
    return { SERVER_HOST: host, SERVER_PORT: port }
  }
  try {
    const address = await findAddress(host)
    const free = await probePort(address, port)
    // Between this probe and the listeners' start another copy could pass its own probe.
    await claim(`port/${address}/${free}`)
    return { SERVER_HOST: address, SERVER_PORT: free }
  } catch (error) {
    throw refusal(nameOf(host, port), REASONS, error)
  }
}

/** Rejects when the service could not listen there now. Takes nothing, and removes nothing. */
export async function checkPlace({ SERVER_HOST: host, SERVER_PORT: port }: Place): Promise<void> {
  const isSocket = isSocketPath(host)
  try {
    if (isSocket) await checkSocket(host)
    else await probePort(await findAddress(host), port, 0)
  } catch (error) {
    if (isSocket) throw refusal(host, SOCKET_REASONS, error)
    throw refusal(nameOf(host, port), REASONS, error)
  }
}

async function checkSocket(path: string): Promise<void> {
  if (!(await isFreeForSocket(path))) {
    throw new SetupError(`Cannot listen on ${path}: ${SOCKET_REASONS.EADDRINUSE}`)
  }
  await access(dirname(path), constants.W_OK)
}

/** How clients on this machine reach it: a URL, or `unix:` and the path of the socket. */
export function urlOf({ SERVER_HOST: host, SERVER_PORT: port }: Place): string {
  if (isSocketPath(host)) return `unix:${host}`
  return `http://${nameOf(['0.0.0.0', '::'].includes(host) ? 'localhost' : host, port)}`
}

function nameOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Resolved once, so that all listeners get the same: a name may have several addresses, in changing order. */
async function findAddress(host: string): Promise<string> {
  if (isIP(host) !== 0) return host
  return (await lookup(host, { order: 'ipv4first' })).address
}

async function takeSocket(path: string): Promise<void> {
  try {
    // Every name of the same file makes the same claim.
    const real = join(await realpath(dirname(path)), basename(path))
    await claim(`socket/${createHash('sha256').update(real).digest('base64url')}`)
    await removeStale(path)
    await probeSocket(path)
  } catch (error) {
    throw refusal(path, SOCKET_REASONS, error)
  }
}

/** Removes a socket that a killed process has left. uWebSockets.js would replace whatever file has that name. */
async function removeStale(path: string): Promise<void> {
  if (await isFreeForSocket(path)) await rm(path, { force: true })
}

/** True when there is nothing, or what a killed process has left. Rejects when there is a file that is not a socket. */
async function isFreeForSocket(path: string): Promise<boolean> {
  const file = await lstat(path).catch(() => undefined)
  if (!file) return true
  if (!file.isSocket()) {
    const reason = 'there is a file of that name that is not a socket; remove it'
    throw new SetupError(`Cannot listen on ${path}: ${reason}`)
  }
  return isDead(path)
}

/** True only when the kernel says that nobody listens on the socket. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'))
  })
}

/** An error without a known reason keeps its stack. */
function refusal(where: string, reasons: typeof REASONS, error: unknown): Error {
  if (error instanceof SetupError) return error
  const reason = reasons[codeOf(error)]
  if (reason) return new SetupError(`Cannot listen on ${where}: ${reason}`, { cause: error })
  return new Error(`Cannot listen on ${where}: ${String(error)}`, { cause: error })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
