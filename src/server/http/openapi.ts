// Runs in listeners when the document is asked for, and in `taskapi openapi`.
import type { TObject, TSchema } from '@sinclair/typebox'
import { Problem } from '../api/schemas.ts'
import { type ErrorCode, STATUS_OF } from './problem.ts'
import type { Route } from './route.ts'

type Json = Record<string, unknown>

const ERROR_DESCRIPTIONS: Record<ErrorCode, string> = {
  invalid_request: 'Something in the request is not valid; `errors` lists every field',
  unauthorized: 'The token or the credentials are missing or not valid',
  not_found: 'There is no such thing, or it is not yours',
  method_not_allowed: 'The path does not have this method; see `Allow`',
  request_timeout: 'The body did not arrive in time',
  conflict: 'It exists already',
  length_required: 'The body came in chunks, without Content-Length',
  payload_too_large: 'The body is too large',
  unsupported_media_type: 'The body is not `application/json`',
  headers_too_large: 'The request head is too large',
  internal: 'A mistake of the service; the log has it under the request id',
  overloaded: 'Too much is waiting; see `Retry-After`',
  unavailable: 'Starting, draining, or without database; see `Retry-After`',
  deadline_exceeded: 'No answer in time; a write may have happened',
}

/** The OpenAPI 3.1 document of the routes: each entry is read off a declaration, nothing is written by hand. */
export function buildDocument(routes: readonly Route[], version: string): Json {
  const schemas = new Map<string, Json>()
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, schemas) }
  }
  toSchema(Problem, schemas)
  return {
    openapi: '3.1.0',
    info: {
      title: 'taskapi',
      version,
      description: 'A task-management API. HEAD works on every GET, OPTIONS on every path.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: Object.fromEntries(schemas),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  }
}

function operation(route: Route, schemas: Map<string, Json>): Json {
  return {
    operationId: operationId(route),
    summary: route.summary,
    tags: [route.tag],
    security: route.auth ? [{ bearer: [] }] : [],
    parameters: [
      ...parameters(route.params, 'path', schemas),
      ...parameters(route.query, 'query', schemas),
    ],
    ...(route.body
      ? { requestBody: { required: true, content: jsonContent(toSchema(route.body, schemas)) } }
      : {}),
    responses: responses(route, schemas),
  }
}

function operationId({ method, path }: Route): string {
  const words = path.split('/').filter((word) => !['', 'api', 'v1'].includes(word))
  const name = words.map((word) => word.replace(/^:/, 'by-').replace('.json', ''))
  return [method.toLowerCase(), ...name].join('-')
}

function parameters(of: TObject | undefined, where: string, schemas: Map<string, Json>): Json[] {
  return Object.entries(of?.properties ?? {}).map(([name, schema]) => ({
    name,
    in: where,
    required: of?.required?.includes(name) ?? false,
    schema: toSchema(schema, schemas),
  }))
}

function responses(route: Route, schemas: Map<string, Json>): Json {
  const { status, description, schema } = route.success
  const success: Json = { description }
  if (schema) success.content = jsonContent(toSchema(schema, schemas))
  if (route.answerHeaders) {
    const headers = Object.entries(route.answerHeaders).map(([name, text]) => [
      name,
      { description: text, schema: { type: 'string' } },
    ])
    success.headers = Object.fromEntries(headers)
  }
  const byStatus = new Map<number, string[]>()
  for (const code of errorCodes(route)) {
    const lines = byStatus.get(STATUS_OF[code]) ?? []
    byStatus.set(STATUS_OF[code], [...lines, `\`${code}\`: ${ERROR_DESCRIPTIONS[code]}`])
  }
  const problem = jsonContent({ $ref: '#/components/schemas/Problem' })
  const failures = [...byStatus]
    .sort(([a], [b]) => a - b)
    .map(([code, lines]) => [code, { description: lines.join('; '), content: problem }])
  return { [status]: success, ...Object.fromEntries(failures) }
}

/** The codes a route can answer: its own, and what follows from its declaration. */
function errorCodes(route: Route): ErrorCode[] {
  const codes: ErrorCode[] = [
    ...(route.errors ?? []),
    'headers_too_large',
    'internal',
    'unavailable',
  ]
  if (route.auth) codes.push('unauthorized')
  if (route.auth || route.body) codes.push('overloaded', 'deadline_exceeded')
  if (route.params || route.query || route.body) codes.push('invalid_request')
  if (route.body) {
    codes.push('unsupported_media_type', 'payload_too_large', 'length_required', 'request_timeout')
  }
  return [...new Set(codes)]
}

function jsonContent(schema: Json): Json {
  return { 'application/json': { schema } }
}

/** A plain JSON Schema; what has an `$id` becomes a component and is referred to. */
function toSchema(schema: TSchema, schemas: Map<string, Json>): Json {
  const { $id, ...rest } = schema
  // Through JSON, because TypeBox keeps its own marks under symbols.
  const plain = resolveParts(rest, schemas)
  if ($id === undefined) return plain
  schemas.set($id, plain)
  return { $ref: `#/components/schemas/${$id}` }
}

function resolveParts(schema: Json, schemas: Map<string, Json>): Json {
  const plain: Json = JSON.parse(JSON.stringify(schema))
  const union = schema.anyOf as TSchema[] | undefined
  if (union?.every((option) => option.const !== undefined)) {
    const { anyOf: _, ...others } = plain
    return { ...others, type: 'string', enum: union.map((option) => option.const) }
  }
  if (union) plain.anyOf = union.map((option) => toSchema(option, schemas))
  if (schema.items) plain.items = toSchema(schema.items as TSchema, schemas)
  if (schema.properties) {
    const entries = Object.entries(schema.properties as Record<string, TSchema>)
    plain.properties = Object.fromEntries(
      entries.map(([name, property]) => [name, toSchema(property, schemas)]),
    )
  }
  return plain
}
