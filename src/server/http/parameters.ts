// Runs in listeners. The parameters of a path and of a query string, checked.
import type { TObject } from '@sinclair/typebox'
import type { Step } from './exchange.ts'
import { invalidRequest, type Problem } from './problem.ts'
import { checked, compileValidator, pointerTo } from './validate.ts'

/** Longer integers would lose digits as JavaScript numbers. */
const INTEGER = /^-?\d{1,15}$/
/** Parameters of a query at most: to parse thousands takes a millisecond, and no route has a dozen. */
const PARAMETERS_MAX = 100

/** Makes the step that checks the parameters of `path`, such as `/tasks/:id`. */
export function readParams(path: string, schema: TObject): Step {
  const validator = compileValidator(schema)
  const names = path.split('/').flatMap((part) => (part.startsWith(':') ? [part.slice(1)] : []))
  return ({ request, received }) => {
    const values: Record<string, string> = {}
    for (const [index, name] of names.entries()) values[name] = request?.getParameter(index) ?? ''
    received.params = checked(validator, values, 'path')
  }
}

/** Makes the step that parses and checks the query string. */
export function readQuery(schema: TObject): Step {
  const validator = compileValidator(schema)
  const integers = new Set(
    Object.keys(schema.properties).filter((name) => schema.properties[name]?.type === 'integer'),
  )
  return ({ request, received }) => {
    const values: Record<string, string | number> = Object.create(null)
    const query = request?.getQuery() ?? ''
    refuseManyParameters(query)
    for (const [name, value] of new URLSearchParams(query)) {
      if (name in values) throw repeated(name)
      values[name] = integers.has(name) && INTEGER.test(value) ? Number(value) : value
    }
    received.query = checked(validator, values, 'query')
  }
}

function refuseManyParameters(query: string): void {
  if (query.length <= PARAMETERS_MAX) return
  if (query.split('&', PARAMETERS_MAX + 1).length > PARAMETERS_MAX) {
    const message = `Expected at most ${PARAMETERS_MAX} parameters`
    throw invalidRequest(`Invalid query: ${message}`, [{ pointer: '', message }])
  }
}

function repeated(name: string): Problem {
  const pointer = pointerTo(name)
  const errors = [{ pointer, message: 'Given more than once' }]
  return invalidRequest(`Invalid query: ${pointer} Given more than once`, errors)
}
