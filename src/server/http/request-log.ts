// Runs in listeners. What the log says about requests.
import type { TraceContext } from '../observe/trace-context.ts'
import type { Host } from './host.ts'
import type { Problem } from './problem.ts'
import { nameMethod } from './tally.ts'

/** A request, as the log names it. */
export interface Named {
  readonly host: Host
  readonly requestId: string
  readonly caller: string | undefined
  readonly head: { readonly method: string }
  readonly pattern: string
  readonly startedAtMs: number
  readonly queuedMs: number
  readonly trace: TraceContext | undefined
}

/**
 * The line of a request, where one is asked for.
 *
 * @param status of its answer; `undefined` when its client left before that
 */
export function logRequest(request: Named, status: number | undefined): void {
  const { requestLog } = request.host.options
  if (!requestLog) return
  const durationMs = performance.now() - request.startedAtMs
  const isServed = status !== undefined && status < 500
  if (isServed && durationMs < requestLog.slowMs) return
  const outcome = status === undefined ? { aborted: true } : { status }
  const times = { duration_ms: roundMs(durationMs), queued_ms: roundMs(request.queuedMs) }
  requestLog.log.info({ ...fieldsOf(request), ...outcome, ...times }, 'Request')
}

/** A fault of our own is logged with its stack; what is expected to happen, such as overload, by its reason alone. */
export function logFailure(request: Named, { code, status }: Problem, thrown: unknown): void {
  const { failures, options } = request.host
  const fields = { ...fieldsOf(request), code }
  if (status === 500) {
    failures.add(`${code} ${fields.method} ${fields.route}`, (repeats) =>
      options.log.error({ ...fields, ...counted(repeats), err: thrown }, 'Request failed'),
    )
  } else {
    failures.add(`${code} ${reasonOf(thrown)}`, (repeats) =>
      options.log.warn({ ...fields, ...counted(repeats), reason: thrown }, 'Request failed'),
    )
  }
}

/** A client that did not read its answer was disconnected. */
export function logUnread(request: Named, why: 'deadline' | 'limit'): void {
  const { failures, options } = request.host
  failures.add(`unread ${why}`, (repeats) =>
    options.log.warn(
      { ...fieldsOf(request), why, ...counted(repeats) },
      'Closed a connection whose client did not read its answer',
    ),
  )
}

function fieldsOf({ requestId, trace, caller, head, pattern }: Named) {
  const ids = { request_id: requestId, trace_id: trace?.traceId, user_id: caller }
  return { ...ids, method: nameMethod(head.method), route: pattern }
}

function roundMs(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}

/** Tells kinds of expected failures apart: by their class and code, of which there are few. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown
  return 'code' in thrown ? `${thrown.name} ${String(thrown.code)}` : thrown.name
}

function counted(repeats: number): { repeats?: number } {
  return repeats === 0 ? {} : { repeats }
}
