// Runs in every process that talks to PostgreSQL. What each call in flight may be answered next: anything else ends the
// connection.
import { type Call, type CallKind, CallQueue, type Sink } from './calls.ts'
import { checkParameters, describeColumns, malformed, mismatch, readCount } from './descriptions.ts'
import { ConnectionError, isFatal, type PostgresError, readReport, violation } from './error.ts'
import {
  MESSAGE,
  readInt32,
  readUint16,
  STATUS_FAILED_TRANSACTION,
  STATUS_IDLE,
  STATUS_TRANSACTION,
} from './protocol.ts'
import { type Reports, takeReport, unexpected } from './reports.ts'
import type { Statement } from './statement.ts'

/** What the oldest call waits for. */
const STEP = {
  NOTHING: 0,
  PARSED: 1,
  PARAMETERS: 2,
  BOUND: 3,
  DESCRIBED: 4,
  /** Rows, then the end of the command. */
  ROWS: 5,
  /** Of a query: the first or another result, or the end. */
  RESULT: 6,
  RESULT_ROWS: 7,
  /** Only the end: all has been said. */
  READY: 8,
  /** Only the end, after an error. */
  FAILED: 9,
} as const

const TWO_FIELDS = 2

export class Replies {
  /** Calls that have been answered; grows for as long as the server makes progress. */
  answered = 0
  readonly #replyBytesMax: number
  readonly #reports: Reports
  readonly #keepsTransactions: boolean
  readonly #calls = new CallQueue()
  /** How many of the calls have been handed to the socket. The others must not be answered. */
  #sent = 0
  #step: number = STEP.NOTHING
  #columns = 0
  #rows = 0
  #count = 0
  #replyBytes = 0
  #results = 0
  #error: PostgresError | undefined
  #fields = new Int32Array(64)

  constructor(replyBytesMax: number, reports: Reports, keepsTransactions = false) {
    this.#replyBytesMax = replyBytesMax
    this.#reports = reports
    this.#keepsTransactions = keepsTransactions
  }

  get inFlight(): number {
    return this.#calls.count
  }

  /** Calls that PostgreSQL has before it. */
  get sent(): number {
    return this.#sent
  }

  add(kind: CallKind, statement: Statement | undefined, sink: Sink): void {
    this.#calls.add({ kind, statement, sink })
  }

  /** Everything added so far is on its way. */
  markSent(): void {
    const idle = this.#sent === 0
    this.#sent = this.#calls.count
    if (idle && this.#sent > 0) this.#begin()
  }

  /** Reports the failure to every call, oldest first. */
  failAll(error: Error): void {
    const calls = this.#calls.removeAll()
    const sent = this.#sent
    this.#sent = 0
    this.#step = STEP.NOTHING
    for (const [index, { sink }] of calls.entries()) settle(sink, error, index < sent)
  }

  /** Takes one message; throws when it is not legal now. */
  take(code: number, bytes: Buffer, start: number, end: number): void {
    this.#replyBytes += end - start
    if (this.#replyBytes > this.#replyBytesMax) this.#checkReplyBytes()
    switch (code) {
      case MESSAGE.DATA_ROW:
        if (this.#step !== STEP.ROWS && this.#step !== STEP.RESULT_ROWS) throw unexpected(code)
        this.#takeRow(bytes, start, end)
        return
      case MESSAGE.BIND_COMPLETE:
        this.#expect(code, STEP.BOUND)
        this.#step = this.#call().statement?.name === '' ? STEP.DESCRIBED : STEP.ROWS
        return
      case MESSAGE.COMMAND_COMPLETE:
        this.#takeComplete(bytes, start, end)
        return
      case MESSAGE.READY_FOR_QUERY:
        this.#takeReady(bytes[start] as number)
        return
      case MESSAGE.ERROR:
        this.#takeError(readReport(bytes, start, end))
        return
      default:
        this.#takeRare(code, bytes, start, end)
    }
  }

  #takeRare(code: number, bytes: Buffer, start: number, end: number): void {
    switch (code) {
      case MESSAGE.PARSE_COMPLETE:
        this.#expect(code, STEP.PARSED)
        this.#step = this.#call().kind === 'prepare' ? STEP.PARAMETERS : STEP.BOUND
        return
      case MESSAGE.PARAMETER_DESCRIPTION:
        this.#expect(code, STEP.PARAMETERS)
        checkParameters(this.#call().statement, bytes, start, end)
        this.#step = STEP.DESCRIBED
        return
      case MESSAGE.ROW_DESCRIPTION:
        this.#takeDescription(code, bytes, start, end)
        return
      case MESSAGE.NO_DATA:
        this.#expect(code, STEP.DESCRIBED)
        if (this.#columns > 0) throw mismatch(this.#call().statement, 'returns no columns')
        this.#described()
        return
      case MESSAGE.EMPTY_QUERY:
        if (this.#step === STEP.ROWS && this.#columns === 0 && this.#rows === 0) {
          this.#step = STEP.READY
        } else {
          this.#expect(code, STEP.RESULT)
          this.#results += 1
        }
        return
      default:
        takeReport(this.#reports, code, bytes, start, end)
    }
  }

  #call(): Call {
    return this.#calls.oldest
  }

  #expect(code: number, step: number): void {
    if (this.#step !== step) throw unexpected(code)
  }

  #begin(): void {
    const { kind, statement } = this.#call()
    this.#columns = statement?.columns.length ?? 0
    this.#rows = 0
    this.#count = 0
    this.#replyBytes = 0
    this.#results = 0
    if (TWO_FIELDS * this.#columns > this.#fields.length) this.#growFields()
    if (kind === 'query') this.#step = STEP.RESULT
    else this.#step = kind === 'prepare' || statement?.name === '' ? STEP.PARSED : STEP.BOUND
  }

  #growFields(): void {
    this.#fields = new Int32Array(TWO_FIELDS * this.#columns)
  }

  #takeRow(bytes: Buffer, start: number, end: number): void {
    const columns = this.#columns
    const fields = this.#fields
    if (end - start < 2 || readUint16(bytes, start) !== columns) throw malformed('row')
    let at = start + 2
    for (let index = 0; index < columns; index += 1) {
      if (at + 4 > end) throw malformed('row')
      const length = readInt32(bytes, at)
      at += 4
      fields[TWO_FIELDS * index] = at
      fields[TWO_FIELDS * index + 1] = length
      if (length > 0) at += length
      if (length < -1 || at > end) throw malformed('row')
    }
    if (at !== end) throw malformed('row')
    this.#rows += 1
    this.#call().sink.row(bytes, fields, columns)
  }

  /** A number at the end of the tag counts rows: as many must have come. */
  #takeComplete(bytes: Buffer, start: number, end: number): void {
    const step = this.#step
    if (step !== STEP.ROWS && step !== STEP.RESULT_ROWS && step !== STEP.RESULT) {
      throw unexpected(MESSAGE.COMMAND_COMPLETE)
    }
    const count = readCount(bytes, start, end)
    if (count >= 0) {
      if (this.#columns > 0 && count !== this.#rows) {
        throw violation('PostgreSQL counted other rows than it sent')
      }
      this.#count = count
    }
    if (step === STEP.ROWS) {
      this.#step = STEP.READY
      return
    }
    this.#step = STEP.RESULT
    this.#results += 1
    this.#rows = 0
    this.#columns = 0
  }

  #takeReady(status: number): void {
    const step = this.#step
    const finished = step === STEP.READY || step === STEP.FAILED
    if (!finished && !(step === STEP.RESULT && this.#results > 0)) {
      throw unexpected(MESSAGE.READY_FOR_QUERY)
    }
    if (status !== STATUS_IDLE) this.#checkTransaction(status)
    const { sink } = this.#call()
    const error = this.#error
    const count = this.#count
    this.#shift()
    if (error) sink.failed(error, true)
    else sink.done(count)
  }

  #checkTransaction(status: number): void {
    const known = status === STATUS_TRANSACTION || status === STATUS_FAILED_TRANSACTION
    if (!known || !this.#keepsTransactions) throw violation('PostgreSQL is inside a transaction')
  }

  /** Done before the sink is called, which may add the next call. */
  #shift(): void {
    this.#error = undefined
    this.#calls.removeOldest()
    this.#sent -= 1
    this.answered += 1
    if (this.#sent > 0) this.#begin()
    else this.#step = STEP.NOTHING
  }

  /** An error also comes after the end of a command, when its commit failed. */
  #takeError(error: PostgresError): void {
    if (isFatal(error)) {
      const text = `PostgreSQL ended the connection: ${error.code} ${error.message}`
      throw new ConnectionError('CONNECTION_CLOSED', text, error)
    }
    if (this.#step === STEP.NOTHING || this.#step === STEP.FAILED) throw unexpected(MESSAGE.ERROR)
    this.#error = error
    this.#step = STEP.FAILED
  }

  #takeDescription(code: number, bytes: Buffer, start: number, end: number): void {
    if (this.#step === STEP.RESULT) {
      this.#columns = describeColumns(undefined, true, bytes, start, end)
      if (TWO_FIELDS * this.#columns > this.#fields.length) this.#growFields()
      this.#step = STEP.RESULT_ROWS
      return
    }
    this.#expect(code, STEP.DESCRIBED)
    const { kind, statement } = this.#call()
    describeColumns(statement, kind === 'prepare', bytes, start, end)
    this.#described()
  }

  #described(): void {
    this.#step = this.#call().kind === 'prepare' ? STEP.READY : STEP.ROWS
  }

  /** Whatever comes while nothing is in flight belongs to no reply. */
  #checkReplyBytes(): void {
    if (this.#step === STEP.NOTHING) this.#replyBytes = 0
    else throw new ConnectionError('REPLY_TOO_LARGE', 'PostgreSQL sent too large a reply')
  }
}

/** A sink that throws must not keep the others from being settled. */
function settle(sink: Sink, error: Error, sent: boolean): void {
  try {
    sink.failed(error, sent)
  } catch (bug) {
    queueMicrotask(() => {
      throw bug
    })
  }
}
