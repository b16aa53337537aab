// Runs in listeners. PostgreSQL's text form of arrays.
import type { Parameter } from './operation.ts'

const NEEDS_ESCAPE = /["\\]/

/** Turns rows of values into one array per column. */
export function toColumns(rows: readonly (readonly Parameter[])[]): string[] {
  const width = rows[0]?.length ?? 0
  return Array.from({ length: width }, (_, column) =>
    arrayLiteral(rows.map((row) => row[column] ?? null)),
  )
}

/** PostgreSQL's text form of an array. */
export function arrayLiteral(values: readonly Parameter[]): string {
  let text = '{'
  for (const value of values) text += `${text.length === 1 ? '' : ','}${quote(value)}`
  return `${text}}`
}

function quote(value: Parameter): string {
  if (value === null) return 'NULL'
  const text = String(value)
  return NEEDS_ESCAPE.test(text) ? `"${text.replaceAll(/["\\]/g, '\\$&')}"` : `"${text}"`
}
