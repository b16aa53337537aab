// Runs in listeners. What happens to a request, as two lists: read them from top to bottom.
import { checkMediaType, receiveBody } from './body.ts'
import { decideEnding } from './ending.ts'
import { type Exchange, type Step, WAITS } from './exchange.ts'
import { checkHead } from './head.ts'
import { headerLines, NO_STORE } from './headers.ts'
import { readParams, readQuery } from './parameters.ts'
import { OVERLOADED } from './problem.ts'
import type { RateLimit } from './rate-limit.ts'
import { compress, encode, leaveParser, observe, pace, send } from './reply.ts'
import type { AnyReply, Priority, Route } from './route.ts'

/** What happens to every reply of a handler, in this order. */
const REPLY_STEPS: readonly Step[] = [encode, decideEnding, compress, leaveParser, send, observe]

/** What happens to every reply to a failure, in this order. */
export const FAILURE_STEPS: readonly Step[] = [pace, ...REPLY_STEPS]

/**
 * What happens to a request of `route`, in this order; each step is made once, at the start. What a step throws is
 * translated to a problem, which then passes the steps of a reply.
 */
export function stepsOf<Context>(
  route: Route<Context>,
  context: Context,
  rateLimit: RateLimit | undefined,
): readonly Step[] {
  return [
    checkHead,
    // First of all, so that what cannot be done costs next to nothing.
    route.priority ? admit(route.priority) : [],
    // Before the body, so that bytes of a client that we do not know are never held.
    ...identify(route, rateLimit),
    route.params ? readParams(route.path, route.params) : [],
    route.query ? readQuery(route.query) : [],
    route.body ? [checkMediaType, receiveBody(route.body)] : [],
    handle(route, context),
    REPLY_STEPS,
  ].flat()
}

/** What happens to a request that gets the same answer whoever sends it. */
export function constantSteps(answer: (exchange: Exchange) => void): readonly Step[] {
  return [checkHead, answer, ...REPLY_STEPS]
}

/** Makes the step that turns a request away while there is more work than can be done. */
function admit(priority: Priority): Step {
  return ({ host }) => {
    if (host.isOverloaded(priority)) throw OVERLOADED
  }
}

/** Who asks, and whether they may ask so often. */
function identify(route: Route<never>, limit: RateLimit | undefined): Step[] {
  if (!limit || route.unlimited) return route.auth ? [authenticate] : []
  return [route.auth ? countAccount(limit) : countClient(limit)]
}

/** Makes the step that counts a request for its client. */
function countClient(limit: RateLimit): Step {
  return (exchange) => limit.count(exchange, exchange.client)
}

/** Makes the step that counts a request for its account, or for its client when it has no valid token. */
function countAccount(limit: RateLimit): Step {
  return (exchange) => {
    try {
      authenticate(exchange)
    } catch (refusal) {
      limit.count(exchange, exchange.client)
      throw refusal
    }
    limit.count(exchange, exchange.caller ?? exchange.client)
  }
}

function authenticate(exchange: Exchange): void {
  const { host, head, recording } = exchange
  const startedAtMs = recording ? performance.now() : 0
  let failure: string | undefined = 'unauthorized'
  try {
    exchange.caller = host.options.authenticate(head.authorization)
    failure = undefined
  } finally {
    recording?.add('authentication', startedAtMs, performance.now(), failure)
  }
}

/** Makes the step that runs the handler and takes its reply. */
function handle<Context>(route: Route<Context>, context: Context): Step {
  const constantLines = (route.auth ? NO_STORE : '') + headerLines(route.headers ?? {})
  const take = (exchange: Exchange, { status, headers, body }: AnyReply) => {
    const lines = headers ? constantLines + headerLines(headers) : constantLines
    exchange.outgoing = { status, headers: lines, body }
  }
  return (exchange) => {
    const reply = route.handle(context, exchange, exchange.received)
    if (!(reply instanceof Promise)) {
      take(exchange, reply)
      return undefined
    }
    reply.then(
      (value) => {
        // A request that has missed its deadline is already being answered.
        if (exchange.outgoing) return
        take(exchange, value)
        exchange.resume()
      },
      (error: unknown) => exchange.fail(error),
    )
    return WAITS
  }
}
