// Runs in listeners. Turns calls that wait at the same moment into one statement.
//
// There is no timer: a call that finds nothing under way goes out at once, alone, and while a batch is under way the
// next one fills. An idle service adds no wait, a busy one pays PostgreSQL's price per statement and per commit once per
// batch. A write is acknowledged after the commit of its batch.
import type { Database, Parameter, Statement } from './driver/client.ts'
import { CallExpiredError, DatabaseOverloadedError, isRefusal } from './failures.ts'

/** A batch that takes longer, because of a lock perhaps, is not waited for. Most take 1 to 5 ms. */
const SLOW_MS = 25
/**
 * Batches of one kind under way when some are slow. Two at all times were measured, too: 8 % more reads at a p99 30 %
 * higher, and fewer writes.
 */
const UNDER_WAY_MAX = 4
/**
 * Calls under way of a kind that has no batches: their answers may arrive in one piece, and all be in memory at once.
 * Fewer were measured, too: each statement then wakes PostgreSQL for itself, which took 40 % more CPU with 4 or 8.
 */
const ALONE_MAX = 64
/** Of the calls that may wait, the share that one account can take before it alone is turned away. */
const ACCOUNT_SHARE_MAX = 0.5

/** A row of a result that may answer several calls: `n` is the position of its call, counted from 1. */
export interface BatchRow {
  n: string | number
}

/** How calls of one kind travel together. */
export interface Batching<Input> {
  /**
   * The statement over arrays; each call is a position in all of them. Its rows are `BatchRow`s. A kind without it has
   * no batches: each call is a statement of its own, and the next ones wait their turn.
   */
  many?: Statement
  /** The statement for one call; its parameters are the same values, not in arrays. */
  one: Statement
  /** The values of a call, in the order of the parameters. */
  readonly values: (input: Input) => Parameter[]
  /** The account that calls: when many wait, each gets its turn. */
  readonly accountOf: (input: Input) => string
  /** The row that a call changes. Two changes of one row never share a batch, and rows are locked in one order. */
  readonly rowOf?: (input: Input) => string
}

/** Limits of the batches of a listener. */
export interface BatchLimits {
  /** Calls in a batch at most; with 1 each call is a statement of its own, sent at once. */
  callsMax: number
  /** Calls that wait, of one kind. */
  queueMax: number
  /** A call that has waited this long is given up: nobody waits for its answer any more. */
  waitMsMax: number
}

interface Call<Input, Row> {
  input: Input
  account: string
  /** Empty for calls that change nothing. */
  row: string
  bornAtMs: number
  resolve: (rows: Row[]) => void
  reject: (error: unknown) => void
}

/** Collects calls of one kind. */
export class Batcher<Input, Row extends object> {
  readonly #db: Database
  readonly #batching: Batching<Input>
  readonly #limits: BatchLimits
  /** Calls in a batch at most. */
  readonly #callsMax: number
  #waiting: Call<Input, Row>[] = []
  #underWay = 0
  #scheduled = false
  #lastSize = 0
  #lastSentAtMs = 0

  constructor(db: Database, batching: Batching<Input>, limits: BatchLimits) {
    this.#db = db
    this.#batching = batching
    this.#limits = limits
    this.#callsMax = batching.many ? limits.callsMax : 1
  }

  /** The rows of the call. Rejects with the driver's error, as a single call would. */
  call(input: Input): Promise<Row[]> {
    if (this.#limits.callsMax === 1) return this.#one(input)
    return new Promise((resolve, reject) => {
      const { accountOf, rowOf } = this.#batching
      const call = {
        input,
        account: accountOf(input),
        row: rowOf ? rowOf(input) : '',
        bornAtMs: performance.now(),
        resolve,
        reject,
      }
      this.#admit(call)
      this.#waiting.push(call)
      this.#schedule(call.bornAtMs)
    })
  }

  /** Throws when the call would be one too many, or one too many of its account. */
  #admit({ account }: Call<Input, Row>): void {
    const { queueMax } = this.#limits
    const waiting = this.#waiting.length
    this.#db.admit(waiting)
    const accountMax = queueMax * ACCOUNT_SHARE_MAX
    if (waiting < accountMax) return
    const own = this.#waiting.reduce((sum, call) => sum + Number(call.account === account), 0)
    if (own >= accountMax) throw new DatabaseOverloadedError('Too many statements of one account')
  }

  /** At once after a batch of one; else at the end of the turn, so that all that one poll of the sockets brings go together. */
  #schedule(nowMs: number): void {
    if (this.#scheduled) return
    if (this.#underWay > 0 && !this.#maySendAnother(nowMs)) return
    if (this.#lastSize <= 1) {
      this.#send()
      return
    }
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#send()
    })
  }

  #maySendAnother(nowMs: number): boolean {
    if (!this.#batching.many) return this.#underWay < ALONE_MAX
    return this.#underWay < UNDER_WAY_MAX && nowMs - this.#lastSentAtMs > SLOW_MS
  }

  #send(): void {
    const batch = this.#take()
    if (batch.length === 0) return
    this.#underWay += 1
    this.#lastSize = batch.length
    this.#lastSentAtMs = performance.now()
    void this.#run(batch).then(() => {
      this.#underWay -= 1
      if (this.#waiting.length > 0) this.#send()
    })
  }

  /** The next batch, oldest first; each account in turn when not all fit. A second change of a row waits for later. */
  #take(): Call<Input, Row>[] {
    this.#giveUp()
    const all = this.#waiting
    if (all.length <= this.#callsMax && !this.#batching.rowOf) {
      this.#waiting = []
      return all
    }
    const batch = new Set<Call<Input, Row>>()
    const rows = new Set<string>()
    for (const call of all.length <= this.#callsMax ? all : inTurns(all)) {
      if (call.row !== '' && rows.has(call.row)) continue
      rows.add(call.row)
      batch.add(call)
      if (batch.size === this.#callsMax) break
    }
    this.#waiting = all.filter((call) => !batch.has(call))
    // One order everywhere, so that batches of two listeners cannot wait for each other's rows.
    return this.#batching.rowOf ? [...batch].sort((a, b) => (a.row < b.row ? -1 : 1)) : [...batch]
  }

  /** Calls wait in order of arrival, so the late ones stand in front. */
  #giveUp(): void {
    const limit = performance.now() - this.#limits.waitMsMax
    if ((this.#waiting[0]?.bornAtMs ?? limit) >= limit) return
    const late = this.#waiting.filter((call) => call.bornAtMs < limit)
    this.#waiting = this.#waiting.filter((call) => call.bornAtMs >= limit)
    for (const { reject } of late) reject(new CallExpiredError('Waited too long for PostgreSQL'))
  }

  /** Never rejects. */
  async #run(batch: readonly Call<Input, Row>[]): Promise<void> {
    const [first] = batch
    const { many, values } = this.#batching
    if (!many || batch.length === 1) return first && this.#runOne(first)
    try {
      const columns = toColumns(batch.map(({ input }) => values(input)))
      const rows = await this.#db.run<Row & BatchRow>(many, columns)
      const found = batch.map((): Row[] => [])
      for (const row of rows) found[Number(row.n) - 1]?.push(row)
      for (const [position, { resolve }] of batch.entries()) resolve(found[position] ?? [])
    } catch (error) {
      // What PostgreSQL refused has changed nothing: each call gets its own verdict. After a lost connection nobody
      // knows what was committed, so nothing is tried again.
      if (isRefusal(error)) await Promise.all(batch.map((call) => this.#runOne(call)))
      else for (const { reject } of batch) reject(error)
    }
  }

  /** Never rejects. */
  async #runOne({ input, resolve, reject }: Call<Input, Row>): Promise<void> {
    try {
      resolve(await this.#one(input))
    } catch (error) {
      reject(error)
    }
  }

  #one(input: Input): Promise<Row[]> {
    return this.#db.run<Row>(this.#batching.one, this.#batching.values(input))
  }
}

/** The first call of every account, then the second of every account, and so on; within that, oldest first. */
function inTurns<Input, Row>(calls: readonly Call<Input, Row>[]): Call<Input, Row>[] {
  const turns: Call<Input, Row>[][] = []
  const seen = new Map<string, number>()
  for (const call of calls) {
    const turn = seen.get(call.account) ?? 0
    seen.set(call.account, turn + 1)
    const calling = turns[turn]
    if (calling) calling.push(call)
    else turns.push([call])
  }
  return turns.flat()
}

/** Rows of values as one PostgreSQL array, in its text form, per column. */
function toColumns(rows: readonly Parameter[][]): string[] {
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

const NEEDS_ESCAPE = /["\\]/
