// Runs in listeners. One uWebSockets.js app on the shared port, from its first connection to its last.
import { setTimeout as delay } from 'node:timers/promises'
import { type Context, closeContext, createContext, warmContext } from '../api/context.ts'
import type { Config } from '../config/config.ts'
import { Gate } from '../http/exchange.ts'
import { installRoutes, routes } from '../http/install.ts'
import { loadUws, type TemplatedApp, type Uws, type us_listen_socket } from '../http/uws.ts'
import type { Logger } from '../observe/log.ts'
import { MIGRATIONS_FOLDER, VERSION } from '../root.ts'
import { collectAlone, compactHeap } from './heap.ts'

const WARM_RETRY_MS = 250
const DRAIN_POLL_MS = 20
const COMPACT_DELAY_MS = 200

export interface Listener {
  port: number
  /** Fails readiness, waits `DRAIN_DELAY_MS`, and stops accepting connections; those that are open go on. */
  refuse(): Promise<void>
  /**
   * Refuses connections, closes each open one with its next answer, and ends when all are gone or after
   * `SHUTDOWN_TIMEOUT_MS`. True when no request was cut off.
   */
  drain(): Promise<boolean>
}

export interface StartOptions {
  /** Whether the schema is brought up to date first; it needs the database, so what replaces a listener does not. */
  migrates: boolean
  signal: AbortSignal
}

/** Resolves when the listener accepts connections; with the database unreachable it accepts, but is not ready. */
export async function startListener(
  config: Config,
  log: Logger,
  { migrates, signal }: StartOptions,
): Promise<Listener> {
  collectAlone()
  const uws = loadUws()
  if (migrates) {
    const { migrate } = await import('../../db/migrate.ts')
    await migrate({
      url: config.DATABASE_URL?.url.reveal() ?? '',
      folder: MIGRATIONS_FOLDER,
      timeoutMs: config.STARTUP_TIMEOUT_MS,
      signal,
      onApplied: (name) => log.info({ migration: name }, 'Migration applied'),
    })
  }
  const context = createContext(config, log, readDocument)
  const warmed = await warm(context)
  if (!warmed) void keepWarming(context)

  const gate = new Gate({
    log,
    allowedOrigins: config.CORS_ORIGINS,
    bodyBytesMax: config.MAX_BODY_BYTES,
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
  })
  const app = uws.App()
  const connections = countConnections(app, config.MAX_CONNECTIONS, log)
  installRoutes(app, context, gate)
  const socket = await listen(app, config)
  const port = uws.us_socket_local_port(socket)
  const parts: Parts = { config, uws, app, socket, context, gate, connections }
  let refusing: Promise<void> | undefined
  compactSoon(gate)
  const refuse = () => {
    refusing ??= refuseConnections(parts)
    return refusing
  }
  return { port, refuse, drain: () => refuse().then(() => drain(parts)) }
}

/** Waits for a moment without requests, so that none waits for it. */
function compactSoon(gate: Gate): void {
  setTimeout(() => {
    if (gate.pending.size === 0) compactHeap()
    else compactSoon(gate)
  }, COMPACT_DELAY_MS).unref()
}

/** Made when first asked for: most listeners never are. */
async function readDocument(): Promise<unknown> {
  const { buildDocument } = await import('../http/openapi.ts')
  return buildDocument(routes, VERSION)
}

/** True when every statement is prepared and the listener is ready. */
async function warm(context: Context): Promise<boolean> {
  try {
    await warmContext(context)
  } catch (err) {
    context.log.warn({ err }, 'Database is unreachable')
    return false
  }
  if (context.readiness.state === 'starting') context.readiness.state = 'ready'
  return true
}

async function keepWarming(context: Context): Promise<void> {
  while (context.readiness.state === 'starting') {
    await delay(WARM_RETRY_MS, undefined, { ref: false })
    if (await warm(context)) context.log.info('Database is reachable again')
  }
}

interface ConnectionCount {
  open: number
}

/** Counts connections and closes those over `limit`: running out of file descriptors would spin (uWebSockets #445). */
function countConnections(app: TemplatedApp, limit: number, log: Logger): ConnectionCount {
  const count: ConnectionCount = { open: 0 }
  let refusing = false
  app.filter((response, change) => {
    count.open += Number(change) > 0 ? 1 : -1
    if (Number(change) < 0) {
      if (count.open < limit) refusing = false
      return
    }
    if (count.open <= limit) return
    if (!refusing) log.warn({ limit }, 'Connection limit reached, closing new connections')
    refusing = true
    response.close()
  })
  return count
}

function listen(
  app: TemplatedApp,
  { SERVER_HOST, SERVER_PORT }: Config,
): Promise<us_listen_socket> {
  return new Promise((resolve, reject) => {
    app.listen(SERVER_HOST, SERVER_PORT, (socket) => {
      if (socket) resolve(socket)
      else reject(new Error(`Cannot listen on ${SERVER_HOST}:${SERVER_PORT}`))
    })
  })
}

interface Parts {
  config: Config
  uws: Uws
  app: TemplatedApp
  socket: us_listen_socket
  context: Context
  gate: Gate
  connections: ConnectionCount
}

async function refuseConnections({ config, uws, socket, context, gate, connections }: Parts) {
  const { log, readiness } = context
  readiness.state = 'draining'
  log.info({ connections: connections.open, in_flight: gate.pending.size }, 'Draining')
  if (config.DRAIN_DELAY_MS > 0) await delay(config.DRAIN_DELAY_MS)
  uws.us_listen_socket_close(socket)
}

/** Connections must be refused by now: a client that is told to close would come back, to be reset. */
async function drain({ config, app, context, gate, connections }: Parts): Promise<boolean> {
  const { log, readiness } = context
  gate.closing = true
  const deadline = performance.now() + config.SHUTDOWN_TIMEOUT_MS
  while (connections.open > 0 && performance.now() < deadline) await delay(DRAIN_POLL_MS)
  const cut = gate.pending.size
  readiness.state = 'closed'
  app.close()
  gate.close()
  await closeContext(context)
  if (cut > 0) log.error({ cut }, 'Requests were cut off by the shutdown deadline')
  return cut === 0
}
