// Runs in listeners. What a request that is traced goes through, as times: its spans are made once it is answered.
import { newTrace, randomSpanId } from './sampler.ts'
import type { TraceContext } from './trace-context.ts'

/** A part of a request, by `performance.now()`. */
export interface Interval {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
  /** A code without user data. */
  readonly failure: string | undefined
}

/** The calls that share a statement, to be shown as a span beside those of the requests. */
export type OnBatch = (batch: StatementTimes) => void

/** A statement, by the name that it has on PostgreSQL's connections. */
export interface NamedStatement {
  readonly name: string
  readonly text: string
}

/** One request. */
export class Recording {
  /** The place of its own span. */
  readonly context: TraceContext
  /** The span of its client. */
  readonly parent: TraceContext | undefined
  readonly intervals: Interval[] = []
  readonly calls: CallTimes[] = []
  readonly onBatch: OnBatch
  /** Of its URL, without the query. */
  path = ''

  constructor(context: TraceContext, parent: TraceContext | undefined, onBatch: OnBatch) {
    this.context = context
    this.parent = parent
    this.onBatch = onBatch
  }

  /** Notes a part that has ended. */
  add(name: string, startMs: number, endMs: number, failure?: string): void {
    this.intervals.push({ name, startMs, endMs, failure })
  }

  /** Notes a call to the database that has come. */
  addCall(operation: string, arrivedAtMs: number): CallTimes {
    const call = new CallTimes(this, operation, arrivedAtMs)
    this.calls.push(call)
    return call
  }
}

/** One call of a request to the database. */
export class CallTimes {
  readonly recording: Recording
  readonly operation: string
  readonly arrivedAtMs: number
  /** The statements that were sent for it: several when the first was refused, or its connection lost. */
  readonly statements: { readonly times: StatementTimes; readonly context: TraceContext }[] = []

  constructor(recording: Recording, operation: string, arrivedAtMs: number) {
    this.recording = recording
    this.operation = operation
    this.arrivedAtMs = arrivedAtMs
  }

  /** Notes a statement that is sent for all of `records`. */
  send(sending: Sending): StatementTimes {
    const times = new StatementTimes(this, sending)
    for (const call of sending.records) {
      const context = { ...call.recording.context, spanId: randomSpanId() }
      call.statements.push({ times, context })
      times.callers.push(context)
    }
    return times
  }
}

interface Sending {
  readonly statement: NamedStatement
  readonly calls: number
  readonly records: readonly CallTimes[]
  readonly sentAtMs: number
}

/** One statement that was sent for a call of a traced request, and for others perhaps. */
export class StatementTimes {
  readonly operation: string
  readonly statement: NamedStatement
  /** Its calls, of traced requests or not. */
  readonly calls: number
  /** The spans that it has in the traces of its calls. */
  readonly callers: TraceContext[] = []
  /** The place of its span when several calls share it. */
  readonly batch: TraceContext | undefined
  readonly sentAtMs: number
  answeredAtMs: number | undefined
  failure: string | undefined
  readonly #onBatch: OnBatch

  constructor({ operation, recording }: CallTimes, { statement, calls, sentAtMs }: Sending) {
    this.operation = operation
    this.statement = statement
    this.calls = calls
    this.sentAtMs = sentAtMs
    this.#onBatch = recording.onBatch
    this.batch = calls > 1 ? newTrace() : undefined
  }

  end(answeredAtMs: number, failure: string | undefined): void {
    this.answeredAtMs = answeredAtMs
    this.failure = failure
    if (this.batch) this.#onBatch(this)
  }
}
