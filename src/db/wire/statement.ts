// Runs in every process that talks to PostgreSQL. Statements, and the messages that prepare and run them.
import { ConnectionError } from './error.ts'
import type { Outbox } from './outbox.ts'
import { type Parameter, writeParameter } from './parameters.ts'
import { COLUMNS_MAX } from './protocol.ts'
import type { ValueType } from './types.ts'

const PARAMETERS_MAX = 65_535
const SYNC = Buffer.from([0x53, 0, 0, 0, 4])
/** The unnamed portal, without a limit on rows. */
const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0])
const DESCRIBE_PORTAL = Buffer.from([0x44, 0, 0, 0, 6, 0x50, 0])

export interface StatementOptions {
  /** The name it is prepared under; empty for one that is parsed anew with each call. */
  name: string
  /** Constant SQL. */
  text: string
  parameters: readonly ValueType[]
  columns: readonly ValueType[]
}

export interface Statement extends StatementOptions {
  readonly name: string
  readonly text: string
  /** A Parse message. */
  readonly parse: Uint8Array
  /** From the code of a Bind message to its formats; the length is filled in per call. */
  readonly bind: Uint8Array
  /** What follows the parameters: the formats of columns, then Execute and Sync. */
  readonly run: Uint8Array
  /** How many bytes of `run` belong to the Bind message. */
  readonly bindTailBytes: number
}

/** Declares a statement: whatever can be written before its parameters are known is written here. */
export function declareStatement(options: StatementOptions): Statement {
  const { name, text, parameters, columns } = options
  if (name.includes('\0') || text.includes('\0')) throw new Error('A statement holds a NUL')
  if (parameters.length > PARAMETERS_MAX) throw new Error('A statement has too many parameters')
  if (columns.length > COLUMNS_MAX) throw new Error('A statement has too many columns')
  const bindTail = uint16s([columns.length, ...columns.map(({ format }) => format)])
  return {
    ...options,
    parse: message('P', cstring(name), cstring(text), parameterTypes(parameters)),
    bind: message(
      'B',
      cstring(''),
      cstring(name),
      uint16s([parameters.length, ...parameters.map(({ format }) => format), parameters.length]),
    ),
    run: Buffer.concat([bindTail, ...(name ? [] : [DESCRIBE_PORTAL]), EXECUTE, SYNC]),
    bindTailBytes: bindTail.length,
  }
}

export function writePrepare(out: Outbox, statement: Statement): void {
  out.append(statement.parse)
  out.append(message('D', Buffer.from('S'), cstring(statement.name)))
  out.append(SYNC)
}

/** Throws, with part of it written, when a parameter is not what the statement declares. */
export function writeExecute(
  out: Outbox,
  statement: Statement,
  parameters: readonly Parameter[],
): void {
  const types = statement.parameters
  if (parameters.length !== types.length) {
    throw new ConnectionError('INVALID_PARAMETER', 'A statement got the wrong number of parameters')
  }
  if (statement.name === '') out.append(statement.parse)
  const start = out.length
  out.append(statement.bind)
  for (let index = 0; index < types.length; index += 1) {
    writeParameter(out, types[index] as ValueType, parameters[index] as Parameter)
  }
  out.putInt32(start + 1, out.length - start - 1 + statement.bindTailBytes)
  out.append(statement.run)
}

export function writeQuery(out: Outbox, text: string): void {
  if (text.includes('\0')) throw new ConnectionError('INVALID_PARAMETER', 'A query holds a NUL')
  out.append(message('Q', cstring(text)))
}

export function message(code: string, ...parts: Uint8Array[]): Buffer {
  const header = Buffer.alloc(5)
  header.write(code, 'latin1')
  header.writeInt32BE(4 + parts.reduce((sum, { length }) => sum + length, 0), 1)
  return Buffer.concat([header, ...parts])
}

export function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`)
}

export function uint16s(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index)
  return bytes
}

function parameterTypes(parameters: readonly ValueType[]): Buffer {
  const bytes = Buffer.alloc(2 + 4 * parameters.length)
  bytes.writeUInt16BE(parameters.length)
  for (const [index, { oid }] of parameters.entries()) bytes.writeUInt32BE(oid, 2 + 4 * index)
  return bytes
}
