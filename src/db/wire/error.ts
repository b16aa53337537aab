// Runs in every process that talks to PostgreSQL. What the wire client reports: refusals of PostgreSQL, and connections
// that are of no more use.
import { cstringEnd, readCstring } from './protocol.ts'

/** Fields of an ErrorResponse or NoticeResponse by their code, under the names that `failures.ts` reads. */
const FIELD_NAMES = new Map([
  ['S', 'severity_local'],
  ['V', 'severity'],
  ['C', 'code'],
  ['M', 'message'],
  ['D', 'detail'],
  ['H', 'hint'],
  ['P', 'position'],
  ['p', 'internal_position'],
  ['q', 'internal_query'],
  ['W', 'where'],
  ['s', 'schema_name'],
  ['t', 'table_name'],
  ['c', 'column_name'],
  ['d', 'type_name'],
  ['n', 'constraint_name'],
  ['F', 'file'],
  ['L', 'line'],
  ['R', 'routine'],
])

/** These can quote what a user sent. They are not enumerable, so that nothing logs them by accident. */
const PRIVATE_FIELDS = new Set(['detail', 'hint', 'where', 'internal_query'])

const SQLSTATE = /^[0-9A-Z]{5}$/

/** An error that PostgreSQL itself reported. */
export class PostgresError extends Error {
  override readonly name = 'PostgresError'
  declare readonly severity: string
  declare readonly code: string
  declare readonly detail?: string
  declare readonly hint?: string
  declare readonly where?: string
  declare readonly schema_name?: string
  declare readonly table_name?: string
  declare readonly column_name?: string
  declare readonly constraint_name?: string
  declare readonly routine?: string

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('message') ?? '')
    for (const [name, value] of fields) {
      if (name === 'message') continue
      Object.defineProperty(this, name, { value, enumerable: !PRIVATE_FIELDS.has(name) })
    }
  }
}

/** A failure of the connection, or of what was asked of it; `code` says which. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** For a server that does not keep to the protocol: nothing it has sent can be trusted any more. */
export function violation(message: string): ConnectionError {
  return new ConnectionError('PROTOCOL_VIOLATION', message)
}

/** The error or notice between `start` and `end`. Throws when it is malformed. */
export function readReport(bytes: Buffer, start: number, end: number): PostgresError {
  const fields = new Map<string, string>()
  let at = start
  while (at < end && bytes[at] !== 0) {
    const name = FIELD_NAMES.get(String.fromCharCode(bytes[at] ?? 0))
    const next = cstringEnd(bytes, at + 1, end)
    if (next < 0) throw violation('A report of PostgreSQL is cut off')
    // Unknown fields must be ignored, says the protocol.
    if (name) fields.set(name, readCstring(bytes, at + 1, next))
    at = next + 1
  }
  if (at !== end - 1) throw violation('A report of PostgreSQL has no end')
  // Servers before 9.6 and some poolers send the severity only as text for people.
  if (!fields.has('severity')) fields.set('severity', fields.get('severity_local') ?? '')
  if (!SQLSTATE.test(fields.get('code') ?? '') || fields.get('severity') === '') {
    throw violation('A report of PostgreSQL has no code or severity')
  }
  return new PostgresError(fields)
}

/** True when the session is over after this error. A severity in another language counts as the worse one. */
export function isFatal({ severity }: PostgresError): boolean {
  return severity !== 'ERROR'
}
