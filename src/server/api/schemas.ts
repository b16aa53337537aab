// Runs in listeners and in `openapi`. The shapes that several routes share, and how a failed check is told.
import * as Type from '@sinclair/typebox'
import { FormatRegistry, Kind, type TSchema, TypeRegistry } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'
import { decodeCursor } from '../../db/cursor.ts'
import { isInstant } from '../../db/instant.ts'
import type { FieldError } from '../http/problem.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
/** The pattern of HTML's e-mail input (WHATWG HTML, 4.10.5.1.5), with at least one dot in the domain. */
const EMAIL =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/i
/** RFC 5321, 4.5.3.1: the longest path is 256 octets with its two brackets. */
const EMAIL_LENGTH_MAX = 254

FormatRegistry.Set('uuid', (text) => UUID.test(text))
FormatRegistry.Set('email', (text) => EMAIL.test(text))
FormatRegistry.Set('date-time', isInstant)
FormatRegistry.Set('cursor', (text) => decodeCursor(text) !== undefined)

/** Kind of a string whose length counts Unicode code points, as JSON Schema says, not UTF-16 units. */
const TEXT = 'Text'

interface TextBounds {
  minLength: number
  maxLength: number
}

TypeRegistry.Set<TextBounds>(TEXT, isText)

/** A string that PostgreSQL can keep: no NUL, no lone surrogate, bounds in code points. */
export function Text(
  bounds: TextBounds,
  options: { description?: string; examples?: string[] } = {},
) {
  return Type.Unsafe<string>({ ...options, ...bounds, [Kind]: TEXT, type: 'string' })
}

export const Uuid = Type.String({ format: 'uuid' })
export const Email = Type.String({
  maxLength: EMAIL_LENGTH_MAX,
  format: 'email',
  examples: ['ada@example.com'],
})
export const Instant = Type.String({ format: 'date-time', examples: ['2026-12-24T18:00:00Z'] })

export const TaskStatus = literals(['todo', 'in_progress', 'done', 'cancelled'])
export const Priority = literals(['low', 'medium', 'high', 'critical'])

export const User = Type.Object({ id: Uuid, email: Email, created_at: Instant }, { $id: 'User' })

export const Session = Type.Object(
  {
    token: Type.String({ description: 'JWT (HS256) to send as `Authorization: Bearer`' }),
    expires_at: Instant,
    user: User,
  },
  { $id: 'Session' },
)

export const Task = Type.Object(
  {
    id: Uuid,
    user_id: Uuid,
    title: Type.String(),
    description: nullable(Type.String()),
    status: TaskStatus,
    priority: Priority,
    due_at: nullable(Instant),
    created_at: Instant,
    updated_at: Instant,
  },
  { $id: 'Task' },
)

export const Problem = Type.Object(
  {
    error: Type.String({ description: 'What is wrong, for a person' }),
    code: Type.String({ description: 'What is wrong, for a program; stable' }),
    request_id: Type.String({ description: 'Names this request in the log' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON pointer to the invalid field' }),
          message: Type.String(),
        }),
        { description: 'Every invalid field' },
      ),
    ),
  },
  { $id: 'Problem' },
)

/** A type that also takes `null`. */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

export function literals<const T extends string>(values: readonly T[]) {
  return Type.Unsafe<T>({ ...Type.Union(values.map((value) => Type.Literal(value))) })
}

/** A compiled check that can say what is wrong. */
export interface Validator {
  check(value: unknown): boolean
  /** Every invalid field, once each, in the order of the schema. */
  errors(value: unknown): FieldError[]
}

export function compileValidator(schema: TSchema): Validator {
  const compiled = TypeCompiler.Compile(schema)
  return {
    check: (value) => compiled.Check(value),
    errors: (value) => fieldErrors(compiled, value),
  }
}

function fieldErrors(compiled: TypeCheck<TSchema>, value: unknown): FieldError[] {
  const messages = new Map<string, string>()
  for (const error of compiled.Errors(value)) {
    if (!messages.has(error.path)) messages.set(error.path, explain(error))
  }
  return [...messages].map(([pointer, message]) => ({ pointer, message }))
}

function explain({ type, schema }: ValueError): string {
  switch (type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return 'Unknown field'
    case ValueErrorType.ObjectMinProperties:
      return 'Expected at least one field'
    case ValueErrorType.ObjectRequiredProperty:
      return `Required: ${describe(schema)}`
    default:
      return `Expected ${describe(schema)}`
  }
}

/** A schema in words, for error messages. */
function describe(schema: TSchema): string {
  if (schema.anyOf) return describeUnion(schema.anyOf)
  if (schema.type === 'null') return 'null'
  if (schema.type === 'object') return 'an object'
  if (schema.type === 'integer') {
    return schema.minimum === undefined ? 'an integer' : `an integer of at least ${schema.minimum}`
  }
  switch (schema.format) {
    case 'uuid':
      return 'a UUID'
    case 'email':
      return `an e-mail address of at most ${EMAIL_LENGTH_MAX} characters`
    case 'cursor':
      return 'the cursor of a next page'
    case 'date-time':
      return 'an RFC 3339 date and time that exists, such as 2026-12-24T18:00:00Z'
  }
  if (schema[Kind] === TEXT) {
    return `text of ${schema.minLength} to ${schema.maxLength} characters, without NUL or lone surrogates`
  }
  return `${schema.type}`
}

function describeUnion(options: TSchema[]): string {
  if (options.every((option) => option.const !== undefined)) {
    return `one of ${options.map((option) => JSON.stringify(option.const)).join(', ')}`
  }
  return options.map(describe).join(' or ')
}

function isText({ minLength, maxLength }: TextBounds, value: unknown): boolean {
  if (typeof value !== 'string' || value.length < minLength) return false
  // A code point takes one or two UTF-16 units, so only lengths in between need counting.
  if (value.length > 2 * maxLength) return false
  if (value.includes('\0') || !value.isWellFormed()) return false
  const exact = value.length <= maxLength && minLength <= 1
  if (exact) return true
  let length = 0
  for (const _ of value) length += 1
  return length >= minLength && length <= maxLength
}
