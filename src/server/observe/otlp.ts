// Runs in listeners that export traces. Sends spans to a collector, in the background: OpenTelemetry's protocol (OTLP) over
// HTTP. It is loaded only where an endpoint is set, because its packages take memory.
import { setTimeout as delay } from 'node:timers/promises'
import {
  createTraceState,
  type HrTime,
  type Link,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
} from '@opentelemetry/api'
import { ExportResultCode } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace'
import type { Attributes, SpanData } from './spans.ts'
import type { TraceContext } from './trace-context.ts'

export interface ExporterOptions {
  /** Where spans are sent to. */
  url: string
  /** Headers of each export; they may hold a key. */
  headers: Readonly<Record<string, string>>
  /** What all spans say about the service. */
  resource: Attributes
  scope: { name: string; version: string }
  /** So many spans will never arrive. */
  onLost: (spans: number, reason: unknown) => void
}

export interface Exporter {
  add(spans: readonly SpanData[]): void
  /** Exports what waits; gives up after a second. */
  close(): Promise<void>
}

/** Spans that may wait or be in flight, about a kilobyte each; further ones are lost. */
const SPANS_MAX = 2048
/** To write so many takes less than a millisecond, in which no request is served. */
const EXPORT_SPANS_MAX = 128
const EXPORT_DELAY_MS = 1000
const EXPORT_TIMEOUT_MS = 10_000
const CLOSE_TIMEOUT_MS = 1000

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL }
const FULL = new Error('The collector takes spans more slowly than they are made')
const TOO_LATE = new Error('The collector did not take them before the end')

export function openExporter(options: ExporterOptions): Exporter {
  const { url, headers, scope, onLost } = options
  const resource = resourceFromAttributes(options.resource)
  const exporter = new OTLPTraceExporter({ url, headers, timeoutMillis: EXPORT_TIMEOUT_MS })
  /** Spans that have not arrived yet. */
  let held = 0
  const counting: SpanExporter = {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        held -= spans.length
        if (result.code !== ExportResultCode.SUCCESS) onLost(spans.length, result.error)
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
  }
  const processor = new BatchSpanProcessor({
    exporter: counting,
    maxQueueSize: SPANS_MAX,
    maxExportBatchSize: EXPORT_SPANS_MAX,
    scheduledDelayMillis: EXPORT_DELAY_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  })
  return {
    add: (spans) => {
      const taken = spans.slice(0, Math.max(0, SPANS_MAX - held))
      if (taken.length < spans.length) onLost(spans.length - taken.length, FULL)
      held += taken.length
      for (const span of taken) processor.onEnd(readable(span, { resource, scope }))
    },
    close: async () => {
      // Exports that fail have been counted.
      const flushed = processor.shutdown().catch(() => undefined)
      await Promise.race([flushed, delay(CLOSE_TIMEOUT_MS)])
      if (held > 0) onLost(held, TOO_LATE)
    },
  }
}

/** A span as the processor expects it. It has ended, and nothing of it was dropped. */
function readable(
  span: SpanData,
  shared: { resource: ReadableSpan['resource']; scope: ReadableSpan['instrumentationScope'] },
): ReadableSpan {
  const context = spanContext(span.context)
  const parent = span.parent && { ...spanContext(span.parent), isRemote: span.kind === 'server' }
  return {
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => context,
    ...(parent ? { parentSpanContext: parent } : {}),
    startTime: timeOf(performance.timeOrigin + span.startMs),
    endTime: timeOf(performance.timeOrigin + span.endMs),
    duration: timeOf(span.endMs - span.startMs),
    status: { code: span.failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: span.attributes,
    links: span.links.map((place): Link => ({ context: spanContext(place) })),
    events: [],
    ended: true,
    resource: shared.resource,
    instrumentationScope: shared.scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

function spanContext({ traceId, spanId, flags, state }: TraceContext): SpanContext {
  const context = { traceId, spanId, traceFlags: flags }
  return state === '' ? context : { ...context, traceState: createTraceState(state) }
}

/** Seconds, and nanoseconds beyond them. */
function timeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}
