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
import { type Family, listParts, mergeParts } from '../../stats/families.ts'
import type { Counts } from '../../workers/counts.ts'
import type { Logger } from '../observe/log.ts'
import { readMemoryBytes } from './memory.ts'
import { readFamilies, SERVICE_METRICS } from './metrics-table.ts'
import type { Running } from './running.ts'

/** A few probes and scrapers; more is a mistake, and must not cost the service. */
const CONNECTIONS_MAX = 32
/** A head that takes longer to arrive ends its connection. */
const HEAD_TIMEOUT_MS = 5000

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

/** Resolves when the port can be asked. It can until the service has drained. */
export async function openAdmin(
  place: AdminPlace,
  observed: Observed,
  log: Logger,
): Promise<Running> {
  const pages = pagesOf(observed)
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

function pagesOf(observed: Observed): ReadonlyMap<string, Page> {
  return new Map<string, Page>([
    ['/livez', () => Promise.resolve(plain(200, 'ok'))],
    [
      '/readyz',
      async () => {
        const reason = await observed.whyNotReady()
        return reason === undefined ? plain(200, 'ok') : plain(503, reason)
      },
    ],
    ['/metrics', async (request) => showMetrics(await readAll(observed), request)],
    [
      '/metrics/listeners',
      async (request) => showMetrics(listParts((await observed.readCounts()).parts), request),
    ],
  ])
}

async function showMetrics(families: Family[], { headers }: IncomingMessage): Promise<Answer> {
  // Only now: most services are never asked, or by others.
  const { writeMetrics } = await import('./exposition.ts')
  const { contentType, text } = await writeMetrics(families, headers.accept ?? '')
  return { status: 200, headers: { 'content-type': contentType, vary: 'accept' }, body: text }
}

async function readAll(observed: Observed): Promise<Family[]> {
  const { families, stale } = await observed.readCounts()
  const { states, replaced } = observed
  const ready = (await observed.whyNotReady()) === undefined
  const own = { memoryBytes: readMemoryBytes(), ready, states, replaced, stale }
  return [
    ...families,
    ...mergeParts([{ process: '', families: readFamilies(SERVICE_METRICS, own) }]),
  ]
}

/** Never rejects. */
async function answer(
  pages: ReadonlyMap<string, Page>,
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
  pages: ReadonlyMap<string, Page>,
  request: IncomingMessage,
): Promise<Answer> {
  const [path = ''] = (request.url ?? '').split('?')
  const page = pages.get(path)
  if (!page) return plain(404, `Not found; there is ${[...pages.keys()].join(', ')}`)
  if (request.method === 'GET' || request.method === 'HEAD') return page(request)
  const refused = plain(405, 'Use GET')
  return { ...refused, headers: { ...refused.headers, allow: 'GET, HEAD', connection: 'close' } }
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
