// Runs in listeners. Turns calls that wait at the same moment into one statement.
//
// There is no timer: a call that finds nothing under way goes out at the end of this turn of the event loop, and
// while a batch is under way the next one fills. An idle service adds no wait, a busy one pays PostgreSQL's price per
// statement and per commit once per batch. A write is acknowledged after the commit of its batch.
import type { Database, Parameter, Statement } from './client.ts'
import { isRefusal } from './failures.ts'

/** Batches of one kind under way: while they are, the next one fills. */
const UNDER_WAY_MAX = 2

/** How calls of one kind travel together. */
export interface Batching<Input, Row extends object> {
  /** The statement over arrays, one per entry of `columns`; each call is a position in all of them. */
  many: Statement
  /** The statement for one call; its parameters are the same values, not in arrays. */
  one: Statement
  /** The values of a call, in the order of the parameters. */
  values(input: Input): Parameter[]
  /** Names the row that a call is about, for finding its result. Two writes of one name never share a batch. */
  nameOf(input: Input): string
  /** The same name, read off a result. */
  nameOfRow(row: Row): string
  /** True when calls change rows: an order of locking and a batch of its own for each change of a row. */
  writes: boolean
}

interface Call<Input, Row> {
  input: Input
  name: string
  resolve: (row: Row | undefined) => void
  reject: (error: unknown) => void
}

/** Collects calls of one kind. */
export class Batcher<Input, Row extends object> {
  readonly #db: Database
  readonly #batching: Batching<Input, Row>
  readonly #callsMax: number
  #waiting: Call<Input, Row>[] = []
  #underWay = 0
  #scheduled = false

  /** @param callsMax calls in a batch at most; with 1 each call is a statement of its own, sent at once */
  constructor(db: Database, batching: Batching<Input, Row>, callsMax: number) {
    this.#db = db
    this.#batching = batching
    this.#callsMax = callsMax
  }

  /** The row of the call, or `undefined` when there is none. Rejects with the driver's error, as a single call would. */
  async call(input: Input): Promise<Row | undefined> {
    if (this.#callsMax === 1) return this.#one(input)
    this.#db.admit(this.#waiting.length)
    const { promise, resolve, reject } = Promise.withResolvers<Row | undefined>()
    this.#waiting.push({ input, name: this.#batching.nameOf(input), resolve, reject })
    this.#schedule()
    return promise
  }

  /** At the end of the turn, so that all requests that one poll of the sockets brings go together. */
  #schedule(): void {
    if (this.#scheduled || this.#underWay >= UNDER_WAY_MAX) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#send()
    })
  }

  #send(): void {
    const batch = this.#take()
    if (batch.length === 0) return
    this.#underWay += 1
    void this.#run(batch).finally(() => {
      this.#underWay -= 1
      if (this.#waiting.length > 0) this.#send()
    })
    if (this.#waiting.length > 0) this.#schedule()
  }

  /** The next batch, oldest first. A second change of a row waits for the batch after. */
  #take(): Call<Input, Row>[] {
    if (!this.#batching.writes) return this.#waiting.splice(0, this.#callsMax)
    const names = new Set<string>()
    const left: Call<Input, Row>[] = []
    const batch: Call<Input, Row>[] = []
    for (const call of this.#waiting) {
      if (batch.length < this.#callsMax && !names.has(call.name)) batch.push(call)
      else left.push(call)
      names.add(call.name)
    }
    this.#waiting = left
    // One order everywhere, so that batches of two listeners cannot wait for each other's rows.
    return batch.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Never rejects. */
  async #run(batch: readonly Call<Input, Row>[]): Promise<void> {
    const [first] = batch
    if (first && batch.length === 1) return this.#runOne(first)
    const columns = transpose(batch.map(({ input }) => this.#batching.values(input)))
    try {
      const rows = await this.#db.run<Row>(this.#batching.many, columns.map(arrayLiteral))
      const byName = new Map(rows.map((row) => [this.#batching.nameOfRow(row), row]))
      for (const { name, resolve } of batch) resolve(byName.get(name))
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

  async #one(input: Input): Promise<Row | undefined> {
    const rows = await this.#db.run<Row>(this.#batching.one, this.#batching.values(input))
    return rows[0]
  }
}

/** PostgreSQL's text form of an array. */
export function arrayLiteral(values: readonly Parameter[]): string {
  return `{${values.map(quote).join(',')}}`
}

function quote(value: Parameter): string {
  if (value === null) return 'NULL'
  return `"${String(value).replaceAll(/["\\]/g, '\\$&')}"`
}

function transpose(rows: readonly Parameter[][]): Parameter[][] {
  const width = rows[0]?.length ?? 0
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column] ?? null))
}
