// Runs in listeners. One uWebSockets.js app on the shared port, from its first connection to its last.
import { totalmem } from 'node:os'
import type { Family } from '../../stats/families.ts'
import type { DatabaseState } from '../../workers/messages.ts'
import { type Context, type ContextOptions, createContext } from '../api/context.ts'
import { toProblem } from '../api/failures.ts'
import { Readiness } from '../api/readiness.ts'
import { DOCUMENT_INFO, routes } from '../api/routes.ts'
import type { Config } from '../config/config.ts'
import { isSocketPath } from '../config/kinds.ts'
import type { Secret } from '../config/secret.ts'
import { Clients } from '../http/client.ts'
import { boundConnections, type ConnectionRules, countConnections } from '../http/connections.ts'
import { allowedHeadersValue } from '../http/headers.ts'
import { Host, type RequestLog } from '../http/host.ts'
import { installRoutes } from '../http/install.ts'
import { Lifecycle } from '../http/lifecycle.ts'
import { RateLimit } from '../http/rate-limit.ts'
import { Ready } from '../http/route.ts'
import { loadUws, type Uws, versionOf } from '../http/uws.ts'
import type { Logger, Loggers } from '../observe/log.ts'
import type { Traces } from '../observe/traces.ts'
import { VERSION } from '../root.ts'
import { connectionLimit } from './connection-limit.ts'
import { openDatabase } from './database.ts'
import { drainListener, refuseConnections } from './drain.ts'
import { collectAlone, collectGarbage, compactHeap } from './heap.ts'
import { listen, removeSocket } from './listen-socket.ts'
import { readMemoryBytes } from './memory.ts'
import type { ListenerSource } from './metrics-table.ts'
import { openUsage, Pressure } from './pressure.ts'
import type { Running } from './running.ts'
import { openTraces } from './traces.ts'

const COMPACT_DELAY_MS = 200
/** With more calls, a statement takes longer without costing less per row. */
const BATCH_CALLS_MAX = 128
/** Lists in flight, each of which may be a quarter of a megabyte long: fewer where memory is small. */
const SINGLES_MAX = 64
const BYTES_PER_SINGLE = 8 * 1024 * 1024

/**
 * A listener that accepts connections. It drains by refusing connections, closing each open one with its next answer, and
 * ending when all are gone or idle, or after `SHUTDOWN_TIMEOUT_MS`; clean when no request was cut off.
 */
export interface Listener extends Running {
  port: number
  /**
   * Resolves once it has tried to open its connections to the database: it is ready, or its log says why it is not.
   */
  usable: Promise<void>
  /** What it has counted; nothing when nobody may ask. */
  count(): Family[]
  /** Why clients should not be sent here, as far as this listener knows; undefined when they should. */
  whyNotReady(): Promise<string | undefined>
  /** Takes note of whether all other listeners are ready. */
  reportOthers(ready: boolean): void
  /** Takes note of the database's state. With `migrated` it opens its connections. */
  reportDatabase(state: DatabaseState): void
  /** Fails readiness, waits `DRAIN_DELAY_MS`, and stops accepting connections; those that are open go on. */
  refuse(): Promise<void>
}

interface ListenerOptions {
  /** Whether the database is migrated: then a listener first connects to it, so that no request comes too early. */
  migrated: boolean
  /** Given to one of several listeners; receives each change once `usable` has resolved. */
  onReadiness?: (ready: boolean) => void
  /** Log lines of this process that were dropped since the start. */
  linesDropped: () => number
}

/** Resolves when the listener accepts connections. It is ready once the database is migrated and can be reached. */
export async function startListener(
  config: Config,
  log: Loggers,
  { migrated, onReadiness, linesDropped }: ListenerOptions,
): Promise<Listener> {
  collectAlone()
  const uws = loadUws()
  const { DATABASE_URL, JWT_SECRET: secret } = config
  if (!DATABASE_URL || !secret) throw new Error('A listener needs DATABASE_URL and JWT_SECRET')
  const lifecycle = new Lifecycle()
  const database = openDatabase(config, DATABASE_URL.address, log.db, lifecycle)
  const readiness = new Readiness({ lifecycle, database, onChange: onReadiness })
  const parts = { log, readiness, document: keptDocument(), database }
  const context = createContext(contextOptions(config, secret), parts)
  const traces = await openTraces(config, DATABASE_URL.address, log.process)
  const host = createHost(config, lifecycle, log, context, traces)
  const memory = watchMemory(host, log.process)
  const app = uws.App()
  const connections = countConnections(
    app,
    connectionRules(config, host.options.clients, log.http),
    log.http,
  )
  installRoutes(app, host, routes, context)
  const count = await countsOf(config, uws, { host, context, connections, linesDropped })
  const usable = Promise.withResolvers<void>()
  const open = async () => {
    lifecycle.pending = 'Connections to the database are being opened'
    await database.start()
    compactSoon(host)
    readiness.watch()
    usable.resolve()
  }
  if (migrated) await open()
  const socket = await listen(app, config)
  const http = { uws, app, socket, host, connections }
  const resources = { config, log: log.process, lifecycle, context, memory, ...http }
  let refused: Promise<void> | undefined
  const refuse = () => {
    refused ??= refuseConnections(resources)
    return refused
  }
  return {
    port: uws.us_socket_local_port(socket),
    usable: usable.promise,
    count,
    whyNotReady: () => readiness.whyNot(),
    reportOthers: (ready) => {
      readiness.othersReady = ready
    },
    reportDatabase: (state) => {
      if (state === 'migrated') void open()
      else lifecycle.pending = PENDING[state]
    },
    refuse,
    drain: () => refuse().then(() => drainListener(resources)),
    // It ends with its process.
    terminate: () => removeSocket(config),
  }
}

/** Watching the process takes time and memory, so it is only done where somebody may ask. */
async function countsOf(
  { ADMIN_PORT }: Config,
  uws: Uws,
  source: Omit<ListenerSource, 'uws' | 'vitals'>,
): Promise<() => Family[]> {
  if (ADMIN_PORT === undefined) return () => []
  const { openCounts } = await import('./listener-counts.ts')
  return openCounts({ ...source, uws: versionOf(uws) })
}

/** Why a listener is not ready while the database is in this state, for clients. */
const PENDING: Readonly<Record<Exclude<DatabaseState, 'migrated'>, string>> = {
  unreachable: 'The database cannot be reached',
  migrating: 'Migrations have not run yet',
}

/** What the settings mean for the resources of a listener. */
function contextOptions(config: Config, secret: Secret): ContextOptions {
  return {
    queue: {
      batchCallsMax: config.DB_BATCHING ? BATCH_CALLS_MAX : 1,
      singlesMax: Math.min(SINGLES_MAX, Math.ceil(memoryBytesOf(config) / BYTES_PER_SINGLE)),
      callsMax: config.DB_QUEUE,
    },
    passwords: { threads: config.PASSWORD_THREADS, queueMax: config.PASSWORD_QUEUE },
    tokens: {
      secret: secret.reveal(),
      previousSecret: config.JWT_SECRET_PREVIOUS?.reveal(),
      lifetimeHours: config.JWT_EXPIRATION_HOURS,
    },
    loginLimits: config.LOGIN_LIMITS,
    taskEvents: config.LOG_EVENTS,
  }
}

function connectionRules(config: Config, clients: Clients, log: Logger): ConnectionRules {
  return {
    max: boundConnections(connectionLimit(config), log),
    perClient: config.MAX_CONNECTIONS_PER_CLIENT,
    port: config.SERVER_PORT,
    clients,
  }
}

function createHost(
  config: Config,
  lifecycle: Lifecycle,
  log: Loggers,
  { tokens, queue }: Context,
  traces: Traces | undefined,
): Host {
  return new Host({
    log: log.http,
    requestLog: requestLogOf(config, log.requests),
    lifecycle,
    allowedOrigins: config.CORS_ORIGINS,
    allowedHeaders: allowedHeadersValue(config.CORS_ORIGINS, config.CORS_HEADERS),
    rateLimit: config.RATE_LIMIT && new RateLimit(config.RATE_LIMIT),
    clients: new Clients(config.TRUSTED_PROXIES ?? [], isSocketPath(config.SERVER_HOST)),
    traces,
    bodyBytesMax: config.MAX_BODY_BYTES,
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    memoryBytes: memoryBytesOf(config),
    collectBuffers: () => collectGarbage('minor'),
    authenticate: (authorization) => tokens.verify(authorization),
    isOverloaded: (priority) => queue.isOverloaded(priority),
    translate: toProblem,
  })
}

function requestLogOf(
  { LOG_REQUESTS: which, LOG_SLOW_MS: slow }: Config,
  log: Logger,
): RequestLog | undefined {
  if (which === 'off') return undefined
  return { log, slowMs: { errors: Number.POSITIVE_INFINITY, slow, all: 0 }[which] }
}

/** The part of this listener. */
function memoryBytesOf({ LISTENERS }: Config): number {
  return readMemoryBytes() / LISTENERS
}

/** Where memory has a limit of its own, gives back in time what can be had again. */
function watchMemory(host: Host, log: Logger): Pressure | undefined {
  const limitBytes = readMemoryBytes()
  const usage = limitBytes < totalmem() ? openUsage(limitBytes) : undefined
  return usage && new Pressure({ usage, log, onCheck: (isShort) => host.setShortOfMemory(isShort) })
}

/** Compacts the heap in a moment without requests, so that no request waits for it. */
function compactSoon(host: Host): void {
  setTimeout(() => {
    if (host.inFlight === 0) compactHeap()
    else compactSoon(host)
  }, COMPACT_DELAY_MS).unref()
}

/** Makes the document when a client first asks for it, because most listeners are never asked, and then keeps it. */
function keptDocument(): () => Promise<Ready<unknown>> {
  let document: Promise<Ready<unknown>> | undefined
  const make = async () => {
    const { buildDocument } = await import('../http/openapi.ts')
    const info = { ...DOCUMENT_INFO, version: VERSION }
    return new Ready<unknown>(Buffer.from(JSON.stringify(buildDocument(routes, info))))
  }
  return () => {
    document ??= make()
    return document
  }
}
