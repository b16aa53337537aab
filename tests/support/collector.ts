// A collector that prints the spans that it receives, to look at traces where there is no other. Runs in its own process:
//   node tests/support/collector.ts
import { type ReceivedSpan, startCollector } from './otlp.ts'

/** The port that collectors have by convention. */
const PORT = 4318
const NS_PER_MS = 1_000_000

const { url } = await startCollector({ port: PORT, onSpan: print })
process.stdout.write(`Set OTEL_EXPORTER_OTLP_ENDPOINT=${url}\n`)

function print(span: ReceivedSpan): void {
  const { traceId, spanId, parentId, name, startNs, endNs, links } = span
  const tookMs = (Number(endNs - startNs) / NS_PER_MS).toFixed(3)
  const attributes = Object.entries(span.attributes).map(([key, value]) => `  ${key}: ${value}`)
  const linked = links.map((link) => `  link: ${link.traceId} ${link.spanId}`)
  const place = `trace ${traceId} span ${spanId} parent ${parentId || 'none'}`
  process.stdout.write(
    `${[`${name}, ${tookMs} ms`, `  ${place}`, ...attributes, ...linked].join('\n')}\n`,
  )
}
