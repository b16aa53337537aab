// Runs in listeners. The spans of a request, by OpenTelemetry's semantic conventions.
import type { CallTimes, Interval, Recording, StatementTimes } from './recording.ts'
import { randomSpanId } from './sampler.ts'
import type { TraceContext } from './trace-context.ts'

export type Attributes = Readonly<Record<string, string | number>>

export type SpanKind = 'server' | 'client' | 'internal'

/** What is exported. Times are those of `performance.now()`. */
export interface SpanData {
  readonly name: string
  readonly kind: SpanKind
  readonly context: TraceContext
  readonly parent: TraceContext | undefined
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Attributes
  readonly links: readonly TraceContext[]
  readonly failed: boolean
}

/** A request that has been answered, or whose client has gone. */
export interface Ended {
  readonly method: string
  /** Undefined when no route has its path. */
  readonly route: string | undefined
  readonly requestId: string
  /** Undefined when its client has gone. */
  readonly status: number | undefined
  readonly startMs: number
  readonly endMs: number
}

/** Other methods have no bound, so names must not contain them. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']
/** Longer words, up to the length of a head, are left out: spans wait in memory. */
const METHOD_LENGTH_MAX = 32
/** A code of PostgreSQL. */
const SQLSTATE = /^[\dA-Z]{5}$/

/** The span of the request first, then those of its parts. */
export function requestSpans(recording: Recording, ended: Ended, database: Attributes): SpanData[] {
  const { context, parent, path, intervals, calls } = recording
  const isFault = ended.status === undefined || ended.status >= 500
  const { method } = methodAttributes(ended.method)
  const request: SpanData = {
    name: ended.route === undefined ? method : `${method} ${ended.route}`,
    kind: 'server',
    context,
    parent,
    startMs: ended.startMs,
    endMs: ended.endMs,
    attributes: requestAttributes(ended, path, isFault),
    links: [],
    failed: isFault,
  }
  return [
    request,
    ...intervals.map((interval) => intervalSpan(context, interval)),
    ...calls.flatMap((call) => callSpans(call, ended.endMs, database)),
  ]
}

/** The span of a statement that several calls share: a trace of its own, with a link to each caller that is traced. */
export function batchSpans(times: StatementTimes, database: Attributes): SpanData[] {
  const { batch, callers, sentAtMs } = times
  if (!batch) return []
  const span = statementSpan(times, batch, database, sentAtMs)
  return [{ ...span, kind: 'client', links: callers }]
}

function requestAttributes(ended: Ended, path: string, isFault: boolean): Attributes {
  const { route, status, requestId } = ended
  return {
    ...methodAttributes(ended.method).attributes,
    'url.scheme': 'http',
    'taskapi.request_id': requestId,
    // What no route has may be anything, a token for example.
    ...(route === undefined ? {} : { 'http.route': route, 'url.path': path }),
    ...(status === undefined ? {} : { 'http.response.status_code': status }),
    ...(isFault ? { 'error.type': String(status ?? 'aborted') } : {}),
  }
}

function methodAttributes(method: string): { method: string; attributes: Attributes } {
  if (METHODS.includes(method)) return { method, attributes: { 'http.request.method': method } }
  const original = method.length <= METHOD_LENGTH_MAX
  const attributes = {
    'http.request.method': '_OTHER',
    ...(original ? { 'http.request.method_original': method } : {}),
  }
  return { method: 'HTTP', attributes }
}

function intervalSpan(request: TraceContext, interval: Interval): SpanData {
  const { name, startMs, endMs, failure } = interval
  return {
    name,
    kind: 'internal',
    context: { ...request, spanId: randomSpanId() },
    parent: request,
    startMs,
    endMs,
    attributes: failure === undefined ? {} : { 'error.type': failure },
    links: [],
    failed: failure !== undefined,
  }
}

/** The wait of a call for its turn, and the statements that were sent for it. */
function callSpans(call: CallTimes, endMs: number, database: Attributes): SpanData[] {
  const { operation, arrivedAtMs, statements, recording } = call
  const sentAtMs = statements[0]?.times.sentAtMs ?? endMs
  const wait = { name: 'queue wait', startMs: arrivedAtMs, endMs: sentAtMs, failure: undefined }
  return [
    {
      ...intervalSpan(recording.context, wait),
      attributes: { 'db.operation.name': operation },
    },
    ...statements.map(({ times, context }) => ({
      ...statementSpan(times, context, database, endMs),
      parent: recording.context,
    })),
  ]
}

/**
 * In the trace of a call: the statement itself, or its part in the statement that it shares, which is linked. Only what
 * stands for one statement is of kind `client`, so that who counts those spans counts statements.
 */
function statementSpan(
  times: StatementTimes,
  context: TraceContext,
  database: Attributes,
  endMs: number,
): SpanData {
  const { statement, operation, calls, batch, sentAtMs, answeredAtMs, failure } = times
  return {
    name: statement.name,
    kind: batch ? 'internal' : 'client',
    context,
    parent: undefined,
    startMs: sentAtMs,
    // A request that was answered at its deadline does not wait for its statement.
    endMs: answeredAtMs ?? endMs,
    attributes: {
      ...database,
      'db.operation.name': operation,
      'db.query.summary': statement.name,
      'db.query.text': statement.text,
      ...(calls > 1 ? { 'db.operation.batch.size': calls } : {}),
      ...(failure === undefined ? {} : failureAttributes(failure)),
    },
    links: batch ? [batch] : [],
    failed: failure !== undefined,
  }
}

function failureAttributes(failure: string): Attributes {
  const isState = SQLSTATE.test(failure)
  return { 'error.type': failure, ...(isState ? { 'db.response.status_code': failure } : {}) }
}
