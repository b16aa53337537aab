// Runs in listeners. One uWebSockets.js app on the shared port, from its first connection to its last.
import { setTimeout as delay } from 'node:timers/promises'
import { type Context, type ContextOptions, closeContext, createContext } from '../api/context.ts'
import { toProblem } from '../api/failures.ts'
import { DOCUMENT_INFO, routes } from '../api/routes.ts'
import type { Config } from '../config/config.ts'
import type { Secret } from '../config/secret.ts'
import {
  boundConnections,
  type ConnectionCount,
  type ConnectionLimit,
  countConnections,
} from '../http/connections.ts'
import { Host } from '../http/exchange.ts'
import { installRoutes } from '../http/install.ts'
import { Lifecycle } from '../http/lifecycle.ts'
import { REPLY_STEPS } from '../http/pipeline.ts'
import { loadUws, type TemplatedApp, type Uws, type us_listen_socket } from '../http/uws.ts'
import type { Logger } from '../observe/log.ts'
import { MIGRATIONS_FOLDER, VERSION } from '../root.ts'
import { openDatabase } from './database.ts'
import { collectAlone, compactHeap } from './heap.ts'
import type { Running } from './running.ts'

const DRAIN_POLL_MS = 20
const COMPACT_DELAY_MS = 200
/** With more calls, a statement takes longer without costing less per row. */
const BATCH_CALLS_MAX = 128
const DESCRIPTORS_PER_THREAD = 8

/**
 * A listener that accepts connections. It drains by refusing connections, closing each open one with its next answer, and
 * ending when all are gone or after `SHUTDOWN_TIMEOUT_MS`; clean when no request was cut off.
 */
export interface Listener extends Running {
  port: number
  /** Fails readiness, waits `DRAIN_DELAY_MS`, and stops accepting connections; those that are open go on. */
  refuse(): Promise<void>
}

export interface StartOptions {
  /** Whether the schema is brought up to date first. That needs the database, so a replacement does not do it. */
  migrates: boolean
  signal: AbortSignal
}

/** Resolves when the listener accepts connections; while the database is unreachable it accepts, but is not ready. */
export async function startListener(
  config: Config,
  log: Logger,
  { migrates, signal }: StartOptions,
): Promise<Listener> {
  collectAlone()
  const uws = loadUws()
  const { DATABASE_URL, JWT_SECRET: secret } = config
  if (!DATABASE_URL || !secret) throw new Error('A listener needs DATABASE_URL and JWT_SECRET')
  if (migrates) {
    const { migrate } = await import('../../db/migrate.ts')
    await migrate({
      address: DATABASE_URL.address,
      folder: MIGRATIONS_FOLDER,
      timeoutMs: config.STARTUP_TIMEOUT_MS,
      signal,
      onApplied: (name) => log.info({ migration: name }, 'Migration applied'),
    })
  }
  const lifecycle = new Lifecycle()
  const database = openDatabase(config, DATABASE_URL.address, log, lifecycle)
  const context = createContext(contextOptions(config, secret), {
    log,
    lifecycle,
    document: readDocument,
    database,
  })
  await database.start()

  const host = new Host(
    {
      log,
      lifecycle,
      allowedOrigins: config.CORS_ORIGINS,
      bodyBytesMax: config.MAX_BODY_BYTES,
      requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
      authenticate: (authorization) => context.tokens.verify(authorization),
      isOverloaded: (priority) => context.queue.isOverloaded(priority),
      translate: toProblem,
    },
    REPLY_STEPS,
  )
  const app = uws.App()
  const connections = countConnections(app, boundConnections(connectionLimit(config), log), log)
  installRoutes(app, host, routes, context)
  const socket = await listen(app, config)
  compactSoon(host)
  const resources: Resources = { config, uws, app, socket, context, host, connections }
  let refused: Promise<void> | undefined
  const refuse = () => {
    refused ??= refuseConnections(resources)
    return refused
  }
  return {
    port: uws.us_socket_local_port(socket),
    refuse,
    drain: () => refuse().then(() => drain(resources)),
    // It ends with its process.
    terminate: () => undefined,
  }
}

/** What the settings mean for the resources of a listener. */
function contextOptions(config: Config, secret: Secret): ContextOptions {
  return {
    queue: {
      batchCallsMax: config.DB_BATCHING ? BATCH_CALLS_MAX : 1,
      callsMax: config.DB_QUEUE,
    },
    passwords: { threads: config.PASSWORD_THREADS, queueMax: config.PASSWORD_QUEUE },
    tokens: { secret: secret.reveal(), lifetimeHours: config.JWT_EXPIRATION_HOURS },
  }
}

function connectionLimit(config: Config): ConnectionLimit {
  const { MAX_CONNECTIONS: connections, DB_CONNECTIONS, PASSWORD_THREADS } = config
  // To cancel a statement takes a second connection; the loop of a thread takes several descriptors.
  const otherDescriptors = 2 * DB_CONNECTIONS + DESCRIPTORS_PER_THREAD * PASSWORD_THREADS
  return { connections, otherDescriptors }
}

/** Compacts the heap in a moment without requests, so that no request waits for it. */
function compactSoon(host: Host): void {
  setTimeout(() => {
    if (host.inFlight.size === 0) compactHeap()
    else compactSoon(host)
  }, COMPACT_DELAY_MS).unref()
}

/** Makes the document when a client first asks for it: most listeners are never asked. */
async function readDocument(): Promise<unknown> {
  const { buildDocument } = await import('../http/openapi.ts')
  return buildDocument(routes, { ...DOCUMENT_INFO, version: VERSION })
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

interface Resources {
  config: Config
  uws: Uws
  app: TemplatedApp
  socket: us_listen_socket
  context: Context
  host: Host
  connections: ConnectionCount
}

async function refuseConnections({ config, uws, socket, context, host, connections }: Resources) {
  context.lifecycle.moveTo('draining')
  context.log.info({ connections: connections.open, in_flight: host.inFlight.size }, 'Draining')
  if (config.DRAIN_DELAY_MS > 0) await delay(config.DRAIN_DELAY_MS)
  uws.us_listen_socket_close(socket)
}

/** Connections must already be refused: a client that is asked to close would reconnect, and then be reset. */
async function drain({ config, app, context, host, connections }: Resources): Promise<boolean> {
  const { log, lifecycle } = context
  lifecycle.moveTo('closing')
  const deadline = performance.now() + config.SHUTDOWN_TIMEOUT_MS
  while (connections.open > 0 && performance.now() < deadline) await delay(DRAIN_POLL_MS)
  const cut = host.inFlight.size
  lifecycle.moveTo('closed')
  app.close()
  host.inFlight.close()
  host.failures.flush()
  await closeContext(context)
  if (cut > 0) log.error({ cut }, 'Requests were cut off by the shutdown deadline')
  return cut === 0
}
