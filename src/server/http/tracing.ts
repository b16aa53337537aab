// Runs in listeners. How a request becomes a trace: its beginning, and its end.
import type { Recording } from '../observe/recording.ts'
import type { Host } from './host.ts'
import { UNMATCHED } from './tally.ts'
import type { HttpRequest } from './uws.ts'

/** Spans wait, about a kilobyte each: no path of a route is longer. */
const PATH_LENGTH_MAX = 256

/** A request that may be traced. */
interface Traced {
  readonly host: Host
  readonly head: { readonly method: string }
  readonly pattern: string
  readonly requestId: string
  readonly startedAtMs: number
  readonly recording: Recording | undefined
}

/** Nothing for a request that is not traced. */
export function beginTrace(
  { options: { traces } }: Host,
  { traceparent, tracestate }: { readonly traceparent: string; readonly tracestate: string },
  request: HttpRequest,
): Recording | undefined {
  const recording = traces?.begin(traceparent, tracestate)
  // uWebSockets.js keeps it only until the handler's call returns.
  if (recording) recording.path = shorten(request.getUrl())
  return recording
}

/** @param status of the answer; undefined when the client has gone */
export function endTrace(traced: Traced, status: number | undefined): void {
  const { host, head, pattern, requestId, startedAtMs: startMs, recording } = traced
  if (!recording) return
  const route = pattern === UNMATCHED ? undefined : pattern
  const endMs = performance.now()
  const ended = { method: head.method, route, requestId, status, startMs, endMs }
  host.options.traces?.end(recording, ended)
}

/** A copy: a part of a text keeps all of it in memory. */
function shorten(text: string): string {
  if (text.length <= PATH_LENGTH_MAX) return text
  return Buffer.from(text.slice(0, PATH_LENGTH_MAX), 'latin1').toString('latin1')
}
