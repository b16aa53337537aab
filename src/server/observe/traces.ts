// Runs in listeners that export traces. Decides which requests are recorded, and hands their spans to the exporter.
import type { Logger } from './log.ts'
import { type ExporterOptions, openExporter } from './otlp.ts'
import { Recording, type StatementTimes } from './recording.ts'
import { createSampler, newTrace, randomSpanId, type Sampler, type SamplerName } from './sampler.ts'
import { Sampling } from './sampling.ts'
import { type Attributes, batchSpans, type Ended, requestSpans } from './spans.ts'
import { isUnsampled, readTraceContext, SAMPLED, type TraceContext } from './trace-context.ts'

export interface TracesOptions extends Omit<ExporterOptions, 'onLost'> {
  sampler: SamplerName
  /** Of the traces that begin here, the part that is recorded, for samplers by ratio. */
  ratio: number
  /** The attributes of PostgreSQL that every statement's span has. */
  database: Attributes
  log: Logger
}

/** What records the requests of a listener. */
export interface Traces {
  /** Nothing for a request that is not traced, and then nothing has been allocated. */
  begin(traceparent: string, tracestate: string): Recording | undefined
  /** Exports the spans of a request. */
  end(recording: Recording, ended: Ended): void
  /** Exports what waits; gives up after a second. */
  close(): Promise<void>
}

export function openTraces(options: TracesOptions): Traces {
  const { log, database } = options
  const sampler = createSampler(options.sampler, options.ratio)
  const losses = new Sampling()
  let lost = 0
  const exporter = openExporter({
    ...options,
    onLost: (spans, reason) => {
      lost += spans
      losses.add('lost', () => {
        log.warn({ spans: lost, reason }, 'Spans of traces were lost')
        lost = 0
      })
    },
  })
  const onBatch = (times: StatementTimes) => exporter.add(batchSpans(times, database))

  return {
    begin: (traceparent, tracestate) => {
      if (sampler.followsClient && isUnsampled(traceparent)) return undefined
      const parent = readTraceContext(traceparent, tracestate)
      const context = parent ? continued(sampler, parent) : started(sampler)
      return context && new Recording(context, parent, onBatch)
    },
    end: (recording, ended) => exporter.add(requestSpans(recording, ended, database)),
    close: async () => {
      await exporter.close()
      losses.flush()
    },
  }
}

function continued(sampler: Sampler, parent: TraceContext): TraceContext | undefined {
  if (!sampler.continues(parent)) return undefined
  return { ...parent, spanId: randomSpanId(), flags: parent.flags | SAMPLED }
}

function started(sampler: Sampler): TraceContext | undefined {
  const traceId = sampler.start()
  return traceId === undefined ? undefined : newTrace(traceId)
}
