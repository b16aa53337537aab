// Runs in listeners. What the log says about requests.
import type { TraceContext } from '../observe/trace-context.ts'
import type { Host } from './host.ts'
import type { Problem } from './problem.ts'

/** A request, as the log names it. */
export interface Named {
  readonly host: Host
  readonly requestId: string
  readonly head: { readonly method: string }
  readonly pattern: string
  readonly startedAtMs: number
  readonly trace: TraceContext | undefined
}

/** At level `debug`, each request has a line. */
export function logRequest(request: Named, outcome: number | string): void {
  const { host, requestId: request_id, head, pattern: route, startedAtMs } = request
  if (!host.logsRequests) return
  const duration_ms = Math.round((performance.now() - startedAtMs) * 1000) / 1000
  host.options.log.debug(
    {
      request_id,
      trace_id: request.trace?.traceId,
      method: head.method,
      route,
      status: outcome,
      duration_ms,
    },
    'Request',
  )
}

/** A fault of our own is logged with its stack; what is expected to happen, such as overload, by its reason alone. */
export function logFailure(
  { host, requestId: request_id, head: { method }, pattern: route, trace }: Named,
  { code, status }: Problem,
  thrown: unknown,
): void {
  const { failures, options } = host
  const fields = { request_id, trace_id: trace?.traceId, method, route, code }
  if (status === 500) {
    failures.add(`${code} ${method} ${route}`, (repeats) =>
      options.log.error({ ...fields, ...counted(repeats), err: thrown }, 'Request failed'),
    )
  } else {
    failures.add(`${code} ${reasonOf(thrown)}`, (repeats) =>
      options.log.warn({ ...fields, ...counted(repeats), reason: thrown }, 'Request failed'),
    )
  }
}

/** A client that did not read its answer was disconnected. */
export function logUnread(
  { host, requestId: request_id, pattern: route, trace }: Named,
  why: 'deadline' | 'limit',
): void {
  host.failures.add(`unread ${why}`, (repeats) =>
    host.options.log.warn(
      { request_id, trace_id: trace?.traceId, route, why, ...counted(repeats) },
      'Closed a connection whose client did not read its answer',
    ),
  )
}

/** Tells kinds of expected failures apart: by their class and code, of which there are few. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown
  return 'code' in thrown ? `${thrown.name} ${String(thrown.code)}` : thrown.name
}

function counted(repeats: number): { repeats?: number } {
  return repeats === 0 ? {} : { repeats }
}
