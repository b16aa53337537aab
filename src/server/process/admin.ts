// Runs in the process that the user started, when ADMIN_PORT is set. Serves what operators and their programs ask for.
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { SetupError } from '../../db/setup-error.ts'
import type { Logger } from '../observe/log.ts'
import {
  type Answer,
  type Methods,
  type Observed,
  operatorPages,
  plain,
  type SetLevels,
} from './admin-pages.ts'
import type { Running } from './running.ts'

/** A few probes and scrapers; more is a mistake, and must not cost the service. */
const CONNECTIONS_MAX = 32
/** A head that takes longer to arrive ends its connection. */
const HEAD_TIMEOUT_MS = 5000
/** Node looks for those only now and then, by default twice a minute. */
const CHECK_MS = 1000
/** A client that does not read for so long loses its connection. More than the longest profile. */
const IDLE_TIMEOUT_MS = 120_000
/** Of the body of a request: longer than any list of levels. */
const BODY_LENGTH_MAX = 1000

/** Why it cannot listen there, and what helps, by the code of the error. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; set ADMIN_PORT to a free port',
  EADDRNOTAVAIL: 'this machine does not have that address; set ADMIN_HOST to one that it has',
  EACCES: 'this user may not; set ADMIN_PORT to 1024 or more',
  ENOTFOUND: 'there is no address of that name; set ADMIN_HOST to an address',
}

export interface AdminOptions {
  host: string
  port: number
  /** Whether operators may look into listeners. */
  debug: boolean
  log: Logger
  /** Sets what all processes log. */
  setLevels: SetLevels
}

type Pages = ReadonlyMap<string, Methods>

/** Resolves when the port can be asked. It can until the service has drained. */
export async function openAdmin(observed: Observed, options: AdminOptions): Promise<Running> {
  const pages = new Map(operatorPages(observed, options.setLevels))
  if (options.debug) {
    const { debugPages } = await import('./debug-pages.ts')
    for (const [path, methods] of debugPages(observed)) pages.set(path, methods)
  }
  const server = createServer({ connectionsCheckingInterval: CHECK_MS }, (request, response) => {
    void serve(pages, request, response, options.log)
  })
  server.maxConnections = CONNECTIONS_MAX
  server.headersTimeout = HEAD_TIMEOUT_MS
  server.requestTimeout = HEAD_TIMEOUT_MS
  server.timeout = IDLE_TIMEOUT_MS
  await listen(server, options)
  const { address, family, port } = server.address() as AddressInfo
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
  options.log.info({ url }, 'Admin port is open')
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

async function listen(server: Server, { host, port }: AdminOptions): Promise<void> {
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    const text = `Cannot open the admin port on ${place}: ${REASONS[code] ?? code}`
    // An error without a known reason keeps its stack.
    throw code in REASONS ? new SetupError(text) : new Error(text, { cause: error })
  }
}

/** Never rejects. */
async function serve(
  pages: Pages,
  request: IncomingMessage,
  response: ServerResponse,
  log: Logger,
): Promise<void> {
  try {
    await send(await answerTo(pages, request), request.method === 'HEAD', response)
  } catch (err) {
    // A client that leaves early is no failure of ours.
    if (response.closed) return
    log.error({ err }, 'Admin request failed')
    if (response.headersSent) response.destroy()
    else await send(plain(500, 'Internal server error'), false, response)
  }
}

async function answerTo(pages: Pages, request: IncomingMessage): Promise<Answer> {
  const { url = '', method = '', headers } = request
  const [path = '', query] = url.split('?', 2)
  const methods = pages.get(path)
  if (!methods) return plain(404, `Not found; there is ${[...pages.keys()].join(', ')}`)
  const page = methods[method === 'HEAD' ? 'GET' : method]
  if (!page) return refuseMethod(methods)
  const accept = headers.accept ?? ''
  return page({
    accept,
    query: new URLSearchParams(query),
    readText: () => readText(request),
  })
}

function refuseMethod(methods: Methods): Answer {
  const [method = ''] = Object.keys(methods)
  const { headers, ...refusal } = plain(405, `Use ${method}`)
  const allow = method === 'GET' ? 'GET, HEAD' : method
  return { ...refusal, headers: { ...headers, allow, connection: 'close' } }
}

/** Nothing when it is too long. */
async function readText(request: IncomingMessage): Promise<string | undefined> {
  let text = ''
  for await (const piece of request.setEncoding('utf8')) {
    if (text.length <= BODY_LENGTH_MAX) text += String(piece)
  }
  return text.length <= BODY_LENGTH_MAX ? text : undefined
}

async function send(
  { status, headers, body, release }: Answer,
  headOnly: boolean,
  response: ServerResponse,
): Promise<void> {
  try {
    response.writeHead(status, { ...headers, 'cache-control': 'no-store' })
    if (headOnly) response.end()
    else if (typeof body === 'string') response.end(body)
    else await pipeline(createReadStream(body.file), response)
  } finally {
    await release?.()
  }
}
