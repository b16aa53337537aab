// A collector for tests: it receives spans over HTTP and decodes them by the protocol's definitions.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

const DEFINITIONS = fileURLToPath(new URL('./otlp.proto', import.meta.url))
const REQUEST = protobuf.loadSync(DEFINITIONS).lookupType('ExportTraceServiceRequest')
/** Ids as hexadecimal digits, 64-bit numbers as text, enums by their names; what is not set is absent. */
const CONVERSION = { bytes: Array, longs: String, enums: String, arrays: true }

type Values = Record<string, string | number>

export interface ReceivedSpan {
  name: string
  kind: string
  traceId: string
  spanId: string
  /** Empty when it has none. */
  parentId: string
  state: string
  flags: number
  startNs: bigint
  endNs: bigint
  status: string
  attributes: Values
  links: { traceId: string; spanId: string }[]
  /** Of the service that sent it. */
  resource: Values
}

export interface Collector {
  url: string
  port: number
  spans: ReceivedSpan[]
  /** The headers of every export. */
  headers: IncomingHttpHeaders[]
  close(): Promise<void>
}

export interface CollectorOptions {
  /** A free port where it is missing. */
  port?: number
  /** What it answers exports with. */
  status?: number
  onSpan?: (span: ReceivedSpan) => void
}

export async function startCollector(options: CollectorOptions = {}): Promise<Collector> {
  const { status = 200, onSpan } = options
  const spans: ReceivedSpan[] = []
  const headers: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      headers.push(request.headers)
      const isExport = request.method === 'POST' && request.url === '/v1/traces'
      const received = isExport && status === 200 ? decode(Buffer.concat(chunks)) : []
      spans.push(...received)
      for (const span of received) onSpan?.(span)
      response.statusCode = isExport ? status : 404
      response.setHeader('content-type', 'application/x-protobuf')
      response.end()
    })
  })
  const port = await listen(server, options.port ?? 0)
  return { url: `http://127.0.0.1:${port}`, port, spans, headers, close: () => close(server) }
}

interface Attribute {
  key: string
  value: { stringValue?: string; intValue?: string; doubleValue?: number }
}

interface Place {
  traceId: number[]
  spanId: number[]
}

interface WireSpan extends Place {
  name: string
  kind: string
  traceState?: string
  parentSpanId?: number[]
  flags?: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  status?: { code?: string }
  attributes: Attribute[]
  links: Place[]
}

interface WireRequest {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: { spans: WireSpan[] }[]
  }[]
}

function decode(body: Buffer): ReceivedSpan[] {
  const { resourceSpans } = REQUEST.toObject(REQUEST.decode(body), CONVERSION) as WireRequest
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({ ...readSpan(span), resource: readAttributes(resource.attributes) })),
    ),
  )
}

function readSpan(span: WireSpan): Omit<ReceivedSpan, 'resource'> {
  return {
    name: span.name,
    kind: span.kind,
    ...readPlace(span),
    parentId: hex(span.parentSpanId ?? []),
    state: span.traceState ?? '',
    flags: span.flags ?? 0,
    startNs: BigInt(span.startTimeUnixNano),
    endNs: BigInt(span.endTimeUnixNano),
    status: span.status?.code ?? 'STATUS_CODE_UNSET',
    attributes: readAttributes(span.attributes),
    links: span.links.map(readPlace),
  }
}

function readPlace({ traceId, spanId }: Place) {
  return { traceId: hex(traceId), spanId: hex(spanId) }
}

function readAttributes(attributes: Attribute[]): Values {
  return Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue } }) => [
      key,
      stringValue ?? doubleValue ?? Number(intValue),
    ]),
  )
}

function hex(bytes: number[]): string {
  return Buffer.from(bytes).toString('hex')
}

function listen(server: Server, wanted: number): Promise<number> {
  return new Promise((resolve) => {
    server.listen(wanted, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

function close(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
