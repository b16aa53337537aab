// Runs in the process that the user started, when ADMIN_PORT is set. What operators and their programs read of the service.
import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Family, mergeParts } from '../../stats/families.ts'
import type { Counts } from '../../workers/counts.ts'
import type { Logger } from '../observe/log.ts'
import { readMemoryBytes } from './memory.ts'
import { readFamilies, SERVICE_METRICS } from './metrics-table.ts'
import type { Running } from './running.ts'

/** A few probes and scrapers; more is a mistake, and must not cost the service. */
const CONNECTIONS_MAX = 32
/** A head that takes longer to arrive ends its connection. */
const HEAD_TIMEOUT_MS = 5000
/** Longer than any list of levels. */
const BODY_LENGTH_MAX = 1000

/** What the admin port shows. */
export interface Observed {
  /** Never waits long for a listener. */
  readCounts(): Promise<Counts>
  /** Undefined when clients should be sent here. */
  whyNotReady(): Promise<string | undefined>
  /** The states of the listeners. */
  readonly states: readonly string[]
  /** Listeners that were replaced, by how they ended. */
  readonly replaced: ReadonlyMap<string, number>
}

export interface AdminOptions {
  log: Logger
  /** Sets what all processes log. Returns what is wrong with the levels, and then changes nothing. */
  setLevels(levels: string): string | undefined
}

export interface AdminPlace {
  host: string
  port: number
}

interface Answer {
  status: number
  headers: OutgoingHttpHeaders
  body: string
}

type Page = (request: IncomingMessage) => Promise<Answer>

/** What a path answers, by method; `HEAD` is a `GET`. */
type Methods = Readonly<Record<string, Page>>

/** Resolves when the port can be asked. It can until the service has drained. */
export async function openAdmin(
  place: AdminPlace,
  observed: Observed,
  { log, setLevels }: AdminOptions,
): Promise<Running> {
  const pages = pagesOf(observed, setLevels)
  const server = createServer((request, response) => void answer(pages, request, response, log))
  server.maxConnections = CONNECTIONS_MAX
  server.headersTimeout = HEAD_TIMEOUT_MS
  server.requestTimeout = HEAD_TIMEOUT_MS
  await listen(server, place)
  const { address, family, port } = server.address() as AddressInfo
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  log.info({ url }, 'Admin port is open')
  const terminate = () => {
    server.close()
    server.closeAllConnections()
  }
  const drain = () => {
    terminate()
    return Promise.resolve(true)
  }
  return { drain, terminate }
}

function pagesOf(
  observed: Observed,
  setLevels: AdminOptions['setLevels'],
): ReadonlyMap<string, Methods> {
  const showReadiness = async () => {
    const reason = await observed.whyNotReady()
    return reason === undefined ? plain(200, 'ok') : plain(503, reason)
  }
  const changeLevels = async (request: IncomingMessage) => {
    const levels = (await readText(request)).trim()
    const problem = setLevels(levels)
    return problem === undefined ? plain(200, levels) : plain(400, problem)
  }
  return new Map<string, Methods>([
    ['/livez', { GET: () => Promise.resolve(plain(200, 'ok')) }],
    ['/readyz', { GET: showReadiness }],
    ['/metrics', { GET: (request) => showMetrics(observed, request.headers.accept ?? '') }],
    ['/log-level', { PUT: changeLevels }],
  ])
}

/** What is too long is cut off. */
async function readText(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of request.setEncoding('utf8')) {
    if (text.length < BODY_LENGTH_MAX) text += String(piece)
  }
  return text.slice(0, BODY_LENGTH_MAX)
}

async function showMetrics(observed: Observed, accept: string): Promise<Answer> {
  // Only now: most services are never asked, or by others.
  const { writeMetrics } = await import('./exposition.ts')
  const { contentType, text } = await writeMetrics(await readAll(observed), accept)
  return { status: 200, headers: { 'content-type': contentType, vary: 'accept' }, body: text }
}

async function readAll(observed: Observed): Promise<Family[]> {
  const { families, stale } = await observed.readCounts()
  const { states, replaced } = observed
  const own = { memoryBytes: readMemoryBytes(), states, replaced, stale }
  return [
    ...families,
    ...mergeParts([{ process: '', families: readFamilies(SERVICE_METRICS, own) }]),
  ]
}

/** Never rejects. */
async function answer(
  pages: ReadonlyMap<string, Methods>,
  request: IncomingMessage,
  response: ServerResponse,
  log: Logger,
): Promise<void> {
  const { status, headers, body } = await answerOf(pages, request).catch((err: unknown) => {
    log.error({ err, path: request.url?.slice(0, 100) }, 'Admin request failed')
    return plain(500, 'Internal server error')
  })
  const bytes = Buffer.byteLength(body)
  response.writeHead(status, { ...headers, 'content-length': bytes, 'cache-control': 'no-store' })
  response.end(request.method === 'HEAD' ? undefined : body)
}

async function answerOf(
  pages: ReadonlyMap<string, Methods>,
  request: IncomingMessage,
): Promise<Answer> {
  const [path = ''] = (request.url ?? '').split('?')
  const methods = pages.get(path)
  if (!methods) return plain(404, `Not found; there is ${[...pages.keys()].join(', ')}`)
  const page = methods[request.method === 'HEAD' ? 'GET' : (request.method ?? '')]
  if (page) return page(request)
  const [method = ''] = Object.keys(methods)
  const refused = plain(405, `Use ${method}`)
  const allow = method === 'GET' ? 'GET, HEAD' : method
  return { ...refused, headers: { ...refused.headers, allow, connection: 'close' } }
}

function plain(status: number, text: string): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${text}\n` }
}

async function listen(server: Server, { host, port }: AdminPlace): Promise<void> {
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new Error(
      `Cannot listen on ADMIN_HOST ${host}, ADMIN_PORT ${port}: ${REASONS[reason] ?? reason}`,
      { cause: error },
    )
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; set ADMIN_PORT to a free port',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'this user may not; set ADMIN_PORT to 1024 or more',
  ENOTFOUND: 'there is no address of that name',
}
