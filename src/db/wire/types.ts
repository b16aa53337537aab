// Runs in listeners. The types of parameters and columns that statements declare.

/** How a parameter is written. */
export const ENCODING = { TEXT: 0, UUID: 1, INT4: 2, INT8: 3, INSTANT: 4 } as const

export interface ValueType {
  /** PostgreSQL's number of the type; 0 leaves it to PostgreSQL, and is checked against nothing. */
  readonly oid: number
  /** 0 as text, 1 as binary. */
  readonly format: 0 | 1
  readonly encoding: number
}

/** Types of the database's own (enums) have other numbers in each database, so they are `ANY`. */
export const ANY: ValueType = { oid: 0, format: 0, encoding: ENCODING.TEXT }
export const TEXT: ValueType = { oid: 25, format: 0, encoding: ENCODING.TEXT }
export const UUID: ValueType = { oid: 2950, format: 1, encoding: ENCODING.UUID }
export const UUID_TEXT: ValueType = { oid: 2950, format: 0, encoding: ENCODING.TEXT }
export const INT4: ValueType = { oid: 23, format: 1, encoding: ENCODING.INT4 }
export const INT4_TEXT: ValueType = { oid: 23, format: 0, encoding: ENCODING.TEXT }
export const INT8: ValueType = { oid: 20, format: 1, encoding: ENCODING.INT8 }
export const INT8_TEXT: ValueType = { oid: 20, format: 0, encoding: ENCODING.TEXT }
export const INSTANT: ValueType = { oid: 1184, format: 1, encoding: ENCODING.INSTANT }
export const INSTANT_TEXT: ValueType = { oid: 1184, format: 0, encoding: ENCODING.TEXT }
export const TEXT_ARRAY: ValueType = { oid: 1009, format: 0, encoding: ENCODING.TEXT }
export const UUID_ARRAY: ValueType = { oid: 2951, format: 0, encoding: ENCODING.TEXT }
export const INT8_ARRAY: ValueType = { oid: 1016, format: 0, encoding: ENCODING.TEXT }
export const INSTANT_ARRAY: ValueType = { oid: 1185, format: 0, encoding: ENCODING.TEXT }
