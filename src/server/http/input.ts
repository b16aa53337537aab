// Runs in listeners. From the text of a request to the checked values that a handler gets.
import { isUtf8 } from 'node:buffer'
import type { TObject } from '@sinclair/typebox'
import { compileValidator, type Validator } from '../api/schemas.ts'
import { ApiError, invalidRequest } from './problem.ts'

const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*(?:utf-8|"utf-8")\s*)?$/i
/** Longer numbers would lose digits. */
const INTEGER = /^-?\d{1,15}$/

/** Throws unless the body is plain JSON. */
export function checkMediaType(contentType: string, contentEncoding: string): void {
  if (!JSON_TYPE.test(contentType)) {
    throw new ApiError('unsupported_media_type', 'Send the body as Content-Type: application/json')
  }
  if (contentEncoding !== '' && contentEncoding.toLowerCase() !== 'identity') {
    throw new ApiError('unsupported_media_type', 'Send the body without Content-Encoding')
  }
}

/** Makes the function that parses and checks a JSON body. It throws `invalid_request`. */
export function bodyReader(schema: TObject): (bytes: Buffer) => unknown {
  const validator = compileValidator(schema)
  return (bytes) => {
    if (!isUtf8(bytes)) throw invalidRequest('The body is not valid UTF-8')
    let value: unknown
    try {
      value = JSON.parse(bytes.toString())
    } catch {
      throw invalidRequest('The body is not valid JSON')
    }
    return checked(validator, value, 'body')
  }
}

/** Makes the function that checks the parameter of a path: there is at most one. */
export function paramsReader(schema: TObject): (text: string) => unknown {
  const validator = compileValidator(schema)
  const name = Object.keys(schema.properties)[0] ?? ''
  return (text) => checked(validator, { [name]: text }, 'path')
}

/** Makes the function that parses and checks a query string. */
export function queryReader(schema: TObject): (text: string) => unknown {
  const validator = compileValidator(schema)
  const integers = new Set(
    Object.keys(schema.properties).filter((name) => schema.properties[name]?.type === 'integer'),
  )
  return (text) => {
    const values: Record<string, string | number> = Object.create(null)
    for (const [name, value] of new URLSearchParams(text)) {
      if (name in values) throw repeated(name)
      values[name] = integers.has(name) && INTEGER.test(value) ? Number(value) : value
    }
    return checked(validator, values, 'query')
  }
}

function checked(validator: Validator, value: unknown, where: string): unknown {
  if (validator.check(value)) return value
  const errors = validator.errors(value)
  const first = errors[0]
  const summary = first ? `${first.pointer} ${first.message}`.trim() : ''
  throw invalidRequest(`Invalid ${where}: ${summary}`, errors)
}

function repeated(name: string): ApiError {
  const pointer = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
  const errors = [{ pointer, message: 'Given more than once' }]
  return invalidRequest(`Invalid query: ${pointer} Given more than once`, errors)
}
