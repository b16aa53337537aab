// Runs in listeners and in `openapi`. Schemas that JSON Schema alone cannot express, and how a failed check is reported.
import * as Type from '@sinclair/typebox'
import { Kind, type TSchema, TypeRegistry } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors'
import { type FieldError, invalidRequest } from './problem.ts'

/** Kind of a string whose length counts Unicode code points, as JSON Schema says, not UTF-16 units. */
const TEXT = 'Text'

/** Under this key a schema says in words what it accepts, for error messages. */
export const EXPECTED = Symbol('expected')

/** Errors that an answer lists at most: the search ends with the last of them. */
const ERRORS_MAX = 50
/** What a client calls a field comes back to it only up to this length, in UTF-16 units. */
const NAME_LENGTH_MAX = 100

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
  /** The invalid fields, once each and at most 50: those that are missing, then unknown ones, then wrong values. */
  errors(value: unknown): FieldError[]
}

export function compileValidator(schema: TSchema): Validator {
  const compiled = TypeCompiler.Compile(schema)
  return {
    check: (value) => compiled.Check(value),
    errors: (value) => fieldErrors(compiled, boundNames(schema, value)),
  }
}

/** Returns the value if it is valid. Otherwise throws an `invalid_request` that names the invalid fields. */
export function checked(validator: Validator, value: unknown, where: string): unknown {
  if (validator.check(value)) return value
  const errors = validator.errors(value)
  const first = errors[0]
  const summary = first ? `${first.pointer} ${first.message}`.trim() : ''
  throw invalidRequest(`Invalid ${where}: ${summary}`, errors)
}

function fieldErrors(compiled: TypeCheck<TSchema>, value: unknown): FieldError[] {
  const messages = new Map<string, string>()
  for (const error of compiled.Errors(value)) {
    if (!messages.has(error.path)) messages.set(error.path, explain(error))
    if (messages.size >= ERRORS_MAX) break
  }
  return [...messages].map(([pointer, message]) => ({ pointer, message }))
}

/** The JSON pointer (RFC 6901) to what a client calls `name`, of bounded length. */
export function pointerTo(name: string): string {
  return `/${shorten(name).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/**
 * The object with no more unknown fields than can be reported, and with their names cut. TypeBox escapes each name in
 * full, character by character: for a name of 64 KB that takes 2 ms.
 */
function boundNames(schema: TSchema, value: unknown): unknown {
  if (schema.type !== 'object' || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value
  const bounded: Record<string, unknown> = Object.create(null)
  let unknown = 0
  for (const [name, field] of Object.entries(value)) {
    if (Object.hasOwn(schema.properties, name)) {
      bounded[name] = field
    } else if (unknown < ERRORS_MAX) {
      unknown += 1
      bounded[shorten(name)] = field
    }
  }
  return bounded
}

function shorten(name: string): string {
  // The cut may split a pair of surrogates.
  return name.length > NAME_LENGTH_MAX ? `${name.slice(0, NAME_LENGTH_MAX).toWellFormed()}…` : name
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
  if (schema[EXPECTED as never]) return String(schema[EXPECTED as never])
  if (schema.type === 'null') return 'null'
  if (schema.type === 'object') return 'an object'
  if (schema.type === 'integer') {
    return schema.minimum === undefined ? 'an integer' : `an integer of at least ${schema.minimum}`
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
