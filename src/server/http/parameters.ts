// Runs in listeners. The parameters of a path and of a query string, checked.
import type { TObject } from '@sinclair/typebox'
import type { Step } from './exchange.ts'
import { invalidRequest, type Problem } from './problem.ts'
import { checked, compileValidator } from './validate.ts'

/** Longer integers would lose digits as JavaScript numbers. */
const INTEGER = /^-?\d{1,15}$/

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
    for (const [name, value] of new URLSearchParams(request?.getQuery() ?? '')) {
      if (name in values) throw repeated(name)
      values[name] = integers.has(name) && INTEGER.test(value) ? Number(value) : value
    }
    received.query = checked(validator, values, 'query')
  }
}

function repeated(name: string): Problem {
  const pointer = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
  const errors = [{ pointer, message: 'Given more than once' }]
  return invalidRequest(`Invalid query: ${pointer} Given more than once`, errors)
}
