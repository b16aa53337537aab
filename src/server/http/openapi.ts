// Runs in listeners when the document is asked for, and in `taskapi openapi`.
import type { TObject, TSchema } from '@sinclair/typebox'
import * as Type from '@sinclair/typebox'
import { PROBLEMS, type ProblemCode } from './problem.ts'
import type { Route } from './route.ts'

type Json = Record<string, unknown>
type AnyRoute = Route<never>

/** What the document says about the service as a whole. */
export interface DocumentInfo {
  title: string
  version: string
  description: string
  license: { name: string; identifier: string }
  /** Every versioned path begins with it; operation ids leave it out. */
  prefix: string
}

const ProblemBody = Type.Object(
  {
    error: Type.String({ description: 'What is wrong, for a person' }),
    code: Type.String({ description: 'What is wrong, for a program; codes are stable' }),
    request_id: Type.String({ description: 'Identifies this request in the log' }),
    trace_id: Type.Optional(
      Type.String({
        description: 'The trace of this request, when it has one (W3C Trace Context)',
      }),
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON pointer to the invalid field' }),
          message: Type.String(),
        }),
        { description: 'The invalid fields, at most 50', maxItems: 50 },
      ),
    ),
  },
  { $id: 'Problem' },
)

/** The OpenAPI 3.1 document of the routes: each entry comes from a declaration, nothing is written by hand. */
export function buildDocument(
  routes: readonly AnyRoute[],
  { prefix, ...info }: DocumentInfo,
): Json {
  const schemas = new Map<string, Json>()
  const paths: Record<string, Json> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = {
      ...paths[path],
      [route.method.toLowerCase()]: operation(route, prefix, schemas),
    }
  }
  toSchema(ProblemBody, schemas)
  return {
    openapi: '3.1.0',
    info,
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: Object.fromEntries(schemas),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  }
}

function operation(route: AnyRoute, prefix: string, schemas: Map<string, Json>): Json {
  return {
    operationId: operationId(route, prefix),
    summary: route.summary,
    tags: [route.tag],
    security: route.auth ? [{ bearer: [] }] : [],
    parameters: [
      ...parameters(route.params, 'path', schemas),
      ...parameters(route.query, 'query', schemas),
    ],
    ...(route.body
      ? {
          requestBody: {
            required: true,
            content: bodyContent(route, toSchema(route.body, schemas)),
          },
        }
      : {}),
    responses: responses(route, schemas),
  }
}

function operationId({ method, path }: AnyRoute, prefix: string): string {
  const words = path.replace(prefix, '').split('/').filter(Boolean)
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

function responses(route: AnyRoute, schemas: Map<string, Json>): Json {
  const successes = Object.entries(route.responses).map(
    ([status, { description, body, headers }]) => [
      status,
      {
        description,
        ...(body ? { content: jsonContent(toSchema(body, schemas)) } : {}),
        ...(headers ? { headers: headerObjects(headers) } : {}),
      },
    ],
  )
  const byStatus = new Map<number, string[]>()
  for (const code of problemCodes(route)) {
    const { status, about } = PROBLEMS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${code}\`: ${about}`])
  }
  const problem = jsonContent({ $ref: '#/components/schemas/Problem' })
  const failures = [...byStatus]
    .sort(([a], [b]) => a - b)
    .map(([status, lines]) => [status, { description: lines.join('; '), content: problem }])
  return Object.fromEntries([...successes, ...failures])
}

function headerObjects(headers: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [
      name,
      { description, schema: { type: 'string' } },
    ]),
  )
}

/** The codes that a route can answer with: its own, and those that follow from its declaration. */
function problemCodes(route: AnyRoute): ProblemCode[] {
  const codes: ProblemCode[] = [
    ...(route.problems ?? []),
    'headers_too_large',
    'internal',
    'unavailable',
  ]
  if (route.auth) codes.push('unauthorized')
  if (!route.unlimited) codes.push('too_many_requests')
  if (route.auth || route.body) codes.push('overloaded', 'deadline_exceeded')
  if (route.params || route.query || route.body) codes.push('invalid_request')
  if (route.body) {
    codes.push(
      'unsupported_media_type',
      'payload_too_large',
      'length_required',
      'not_implemented',
      'request_timeout',
      'too_many_requests',
    )
  }
  return [...new Set(codes)]
}

/** What a body may be: a PATCH is also a JSON merge patch (RFC 7396). */
function bodyContent({ method }: AnyRoute, schema: Json): Json {
  const content = jsonContent(schema)
  return method === 'PATCH' ? { ...content, 'application/merge-patch+json': { schema } } : content
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
