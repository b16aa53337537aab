// Runs in listeners. Installs routes on a uWebSockets.js app, with HEAD, OPTIONS, 405 and 404 beside them.
import { Exchange, type Step } from './exchange.ts'
import { headerLines, optionsLines, preflightLines } from './headers.ts'
import type { Host } from './host.ts'
import { constantSteps, FAILURE_STEPS, stepsOf } from './pipeline.ts'
import { notFound, Problem } from './problem.ts'
import type { Method, Route } from './route.ts'
import { RouteTally, UNMATCHED } from './tally.ts'
import type { HttpRequest, HttpResponse, TemplatedApp } from './uws.ts'

type Handler = (response: HttpResponse, request: HttpRequest) => void

/** What may come back in `Location`: a name that every reader of a URL understands in the same way. */
const PATH_SEGMENT = /^[\w.~%-]+$/
const QUERY_UNSAFE = /[^\x21-\x7e]/

const INSTALL_METHOD = { GET: 'get', POST: 'post', PATCH: 'patch', DELETE: 'del' } as const

export function installRoutes<Context>(
  app: TemplatedApp,
  host: Host,
  routes: readonly Route<Context>[],
  context: Context,
): void {
  for (const [path, methods] of methodsByPath(routes)) {
    const allow = allowedMethods(methods)
    const options = answerOptions(allow, host.options.allowedHeaders)
    app.options(path, handler(host, path, constantSteps(options)))
    app.any(path, handler(host, path, constantSteps(refuseMethod(allow))))
    app.any(`${path}/`, handler(host, path, constantSteps(redirect(options))))
  }
  for (const route of routes) {
    const serve = handler(host, route.path, stepsOf(route, context, host.options.rateLimit))
    app[INSTALL_METHOD[route.method]](route.path, serve)
    if (route.method === 'GET') app.head(route.path, serve)
  }
  app.any(UNMATCHED, handler(host, UNMATCHED, constantSteps(refusePath)))
}

/** The methods of each path, in the order of declaration. */
function methodsByPath(routes: readonly Route<never>[]): Map<string, Method[]> {
  const methods = new Map<string, Method[]>()
  for (const { path, method } of routes) methods.set(path, [...(methods.get(path) ?? []), method])
  return methods
}

/** The value of `Allow`. */
function allowedMethods(methods: readonly Method[]): string {
  const all: string[] = [...methods]
  if (methods.includes('GET')) all.splice(methods.indexOf('GET') + 1, 0, 'HEAD')
  return [...all, 'OPTIONS'].join(', ')
}

function handler(host: Host, pattern: string, steps: readonly Step[]): Handler {
  const tally = new RouteTally(pattern)
  host.tallies.push(tally)
  const route = { steps, failureSteps: FAILURE_STEPS, tally }
  return (response, request) => {
    new Exchange(host, response, request, route).proceed()
  }
}

/** Answers OPTIONS: `Allow`, and what a CORS preflight asks for. */
function answerOptions(allow: string, allowedHeaders: string): (exchange: Exchange) => void {
  const plain = optionsLines(allow)
  const preflight = preflightLines(allow, allowedHeaders)
  return (exchange) => {
    const headers = exchange.head.preflight ? preflight : plain
    exchange.outgoing = { status: 204, headers, body: undefined }
  }
}

/**
 * Redirects to the path without the slash at its end. Browsers follow no redirect of a preflight, so that one gets
 * the answer of the path; the request behind it is then redirected.
 */
function redirect(answerPreflight: (exchange: Exchange) => void): (exchange: Exchange) => void {
  return (exchange) => {
    const { head, request } = exchange
    if (head.preflight && head.method === 'OPTIONS') {
      answerPreflight(exchange)
      return
    }
    const name = request?.getUrl().split('/').at(-2) ?? ''
    if (!PATH_SEGMENT.test(name)) throw notFound('path')
    const query = request?.getQuery() ?? ''
    if (QUERY_UNSAFE.test(query)) throw notFound('path')
    // Relative, so that it is right behind a proxy that serves this path under another one, and never names a host.
    const location = `../${name}${query === '' ? '' : `?${query}`}`
    exchange.outgoing = { status: 308, headers: headerLines({ location }), body: { location } }
  }
}

function refuseMethod(allow: string): () => never {
  return () => {
    throw new Problem('method_not_allowed', `Use one of ${allow}`, { headers: { allow } })
  }
}

function refusePath(): never {
  throw notFound('path')
}
