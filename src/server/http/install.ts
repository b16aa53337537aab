// Runs in listeners. Lists the routes and installs them on a uWebSockets.js app.

import { authRoutes } from '../api/auth.ts'
import type { Context } from '../api/context.ts'
import { metaRoutes } from '../api/meta.ts'
import { taskRoutes } from '../api/tasks.ts'
import { type Exchange, type Gate, openExchange } from './exchange.ts'
import { headerLines, optionsLines } from './headers.ts'
import { bodyReader, checkMediaType, paramsReader, queryReader } from './input.ts'
import { ApiError, notFound } from './problem.ts'
import { type Method, type Route, type RouteInput, WithHeaders } from './route.ts'
import type { HttpRequest, HttpResponse, TemplatedApp } from './uws.ts'

/** Every route of the service, in the order of the document. */
export const routes: readonly Route[] = [...metaRoutes, ...authRoutes, ...taskRoutes]

type Handler = (response: HttpResponse, request: HttpRequest) => void

const INSTALL_METHOD = { GET: 'get', POST: 'post', PATCH: 'patch', DELETE: 'del' } as const

/** Installs every route with HEAD, OPTIONS and 405 beside it, and 404 for the rest. */
export function installRoutes(app: TemplatedApp, context: Context, gate: Gate): void {
  for (const [path, methods] of methodsByPath(routes)) {
    const allow = allowedMethods(methods)
    app.options(path, optionsHandler(gate, path, allow))
    app.any(
      path,
      refusal(gate, path, () => methodNotAllowed(allow)),
    )
  }
  for (const route of routes) {
    app[INSTALL_METHOD[route.method]](route.path, routeHandler(context, gate, route, false))
    if (route.method === 'GET') app.head(route.path, routeHandler(context, gate, route, true))
  }
  app.any(
    '/*',
    refusal(gate, '/*', () => notFound('no such path')),
  )
}

/** The methods of each path, in the order of declaration. */
export function methodsByPath(of: readonly Route[]): Map<string, Method[]> {
  const methods = new Map<string, Method[]>()
  for (const { path, method } of of) methods.set(path, [...(methods.get(path) ?? []), method])
  return methods
}

/** The value of `Allow`. */
export function allowedMethods(methods: readonly Method[]): string {
  const all: string[] = [...methods]
  if (methods.includes('GET')) all.splice(methods.indexOf('GET') + 1, 0, 'HEAD')
  return [...all, 'OPTIONS'].join(', ')
}

/** Compiles what the route declares, once, into the function that serves its requests. */
function routeHandler(context: Context, gate: Gate, route: Route, headOnly: boolean): Handler {
  const readParams = route.params && paramsReader(route.params)
  const readQuery = route.query && queryReader(route.query)
  const readBody = route.body && bodyReader(route.body)
  const answer = answerer(route)

  function run(exchange: Exchange, input: RouteInput): void {
    const result = route.handle(context, input)
    if (!(result instanceof Promise)) {
      answer(exchange, result)
      return
    }
    exchange.detach()
    result.then(
      (value) => answer(exchange, value),
      (error) => exchange.fail(error),
    )
  }

  return (response, request) => {
    const exchange = openExchange(gate, response, request, route.path, headOnly)
    try {
      exchange.checkHead()
      const input: RouteInput = {
        // Before the body: bytes of a client that we do not know are never held.
        userId: route.auth ? context.tokens.verify(exchange.authorization) : '',
        requestId: exchange.requestId,
        params: readParams?.(request.getParameter(0) ?? ''),
        query: readQuery?.(request.getQuery() ?? ''),
        body: undefined,
      }
      if (!readBody) {
        run(exchange, input)
        return
      }
      checkMediaType(exchange.contentType, exchange.contentEncoding)
      exchange.receive((bytes) => {
        input.body = readBody(bytes)
        run(exchange, input)
      })
    } catch (error) {
      exchange.fail(error)
    }
  }
}

function answerer(route: Route): (exchange: Exchange, value: unknown) => void {
  const { status } = route.success
  const headers = headerLines(route.headers ?? {})
  return (exchange, value) => {
    if (value instanceof WithHeaders) {
      exchange.complete(status, headers + headerLines(value.headers), value.value)
    } else {
      exchange.complete(status, headers, value)
    }
  }
}

/** Answers OPTIONS: `Allow`, and what a CORS preflight asks for. */
function optionsHandler(gate: Gate, path: string, allow: string): Handler {
  const plain = optionsLines(allow, false)
  const preflight = optionsLines(allow, true)
  return (response, request) => {
    const exchange = openExchange(gate, response, request, path)
    try {
      exchange.checkHead()
      exchange.complete(204, exchange.preflight ? preflight : plain, undefined)
    } catch (error) {
      exchange.fail(error)
    }
  }
}

/** A handler that answers every request with the same error. */
function refusal(gate: Gate, path: string, makeError: () => ApiError): Handler {
  return (response, request) => {
    const exchange = openExchange(gate, response, request, path)
    try {
      exchange.checkHead()
      exchange.fail(makeError())
    } catch (error) {
      exchange.fail(error)
    }
  }
}

function methodNotAllowed(allow: string): ApiError {
  return new ApiError('method_not_allowed', `Use one of ${allow}`, { headers: { allow } })
}
