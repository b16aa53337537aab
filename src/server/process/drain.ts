// Runs in listeners. How a listener ends: it refuses connections, and closes each that is open in a moment that costs no request.
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { type Context, closeContext } from '../api/context.ts'
import type { Config } from '../config/config.ts'
import type { ConnectionCount } from '../http/connections.ts'
import type { Host } from '../http/host.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { TemplatedApp, Uws, us_listen_socket } from '../http/uws.ts'
import type { Logger } from '../observe/log.ts'
import { removeSocket } from './listen-socket.ts'
import type { Pressure } from './pressure.ts'

const DRAIN_POLL_MS = 20
/**
 * After so long without a request or a new connection, the open ones are closed. That is safe as far as HTTP/1.1 allows:
 * a request may always cross the end of an idle connection on its way. Where none has come for a second, hardly one comes
 * in the moment that closing takes.
 */
const QUIET_MS = 1000
const CALM_TURN_MS = 0.1
const CALM_TURNS_MAX = 100

/** What a listener has opened. */
export interface Resources {
  config: Config
  log: Logger
  uws: Uws
  app: TemplatedApp
  socket: us_listen_socket
  lifecycle: Lifecycle
  context: Context
  host: Host
  connections: ConnectionCount
  memory: Pressure | undefined
}

/** Fails readiness, waits `DRAIN_DELAY_MS`, and stops accepting connections. */
export async function refuseConnections(resources: Resources): Promise<void> {
  const { config, log, uws, socket, lifecycle, host, connections } = resources
  lifecycle.moveTo('draining')
  log.info({ connections: connections.open, in_flight: host.inFlight }, 'Draining')
  if (config.DRAIN_DELAY_MS > 0) await delay(config.DRAIN_DELAY_MS)
  // The kernel resets a connection that nobody has accepted yet.
  await calmTurn()
  removeSocket(config)
  uws.us_listen_socket_close(socket)
}

/**
 * Ends when all connections are gone or idle, or at the deadline; true when no request was cut off. Connections must already
 * be refused: a client that is asked to close would reconnect, and then be reset.
 */
export async function drainListener(resources: Resources): Promise<boolean> {
  const { config, log, app, lifecycle, context, host, connections, memory } = resources
  lifecycle.moveTo('closing')
  const deadline = performance.now() + config.SHUTDOWN_TIMEOUT_MS
  while (connections.open > 0 && performance.now() < deadline) {
    await delay(DRAIN_POLL_MS)
    // To close a connection with unread bytes resets it.
    await calmTurn()
    if (isQuiet(resources)) break
  }
  const cut = host.inFlight
  const idle = connections.open - cut
  lifecycle.moveTo('closed')
  // uWebSockets.js closes all connections or none, except by its own timer after 8 to 12 seconds.
  app.close()
  if (idle > 0) log.info({ connections: idle }, 'Closed idle connections')
  memory?.close()
  host.close()
  host.failures.flush()
  await Promise.all([closeContext(context), host.options.traces?.close()])
  if (cut > 0) log.error({ cut }, 'Requests were cut off by the shutdown deadline')
  return cut === 0
}

/**
 * Resolves behind a turn of the event loop that took next to no time, so that hardly anything has arrived that is not
 * accepted or read yet; on a busy loop behind some turn.
 */
async function calmTurn(): Promise<void> {
  for (let turn = 0; turn < CALM_TURNS_MAX; turn += 1) {
    const startedAtMs = performance.now()
    await nextTurn()
    if (performance.now() - startedAtMs < CALM_TURN_MS) return
  }
}

function isQuiet({ host, connections }: Resources): boolean {
  const lastMs = Math.max(host.requestedAtMs, connections.openedAtMs)
  return host.isIdle && performance.now() - lastMs > QUIET_MS
}
