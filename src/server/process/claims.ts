// Runs in the process that the user started. Makes sure that a port, a unix socket and a data folder have one owner.
import { createServer, type Server } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** When a supervisor is killed, its listeners need a moment to notice and to release the port. */
const RELEASE_PATIENCE_MS = 3000
const RETRY_MS = 50

/**
 * Holds `name` for the life of this process; the kernel releases it however the process ends. Rejects when another
 * process holds it. Works on Linux only (an abstract unix socket); elsewhere it does nothing.
 */
export async function claim(name: string): Promise<void> {
  if (process.platform !== 'linux') return
  const server = await retry(() => bind({ path: `\0taskapi/${name}` }), RELEASE_PATIENCE_MS)
  server.unref()
}

/**
 * The port to listen on: `port`, or a free one for 0. Rejects when any program listens on it: uWebSockets.js would
 * silently share the port with a second copy of the service.
 *
 * @param patienceMs longest wait for whoever holds it to release it
 */
export async function probePort(
  host: string,
  port: number,
  patienceMs = RELEASE_PATIENCE_MS,
): Promise<number> {
  const server = await retry(() => bind({ host, port, exclusive: true }), patienceMs)
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : port
}

/** Rejects when no unix socket can be made there, or there is one. */
export async function probeSocket(path: string): Promise<void> {
  const server = await bind({ path })
  await new Promise((resolve) => server.close(resolve))
}

/** True when the error means that another program holds the address. */
export function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
}

async function retry(attempt: () => Promise<Server>, patienceMs: number): Promise<Server> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isTaken(error) || Date.now() > deadline) throw error
      await delay(RETRY_MS)
    }
  }
}

function bind(address: { path: string } | { host: string; port: number; exclusive: true }) {
  return new Promise<Server>((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(address, () => resolve(server))
  })
}
