// Runs in listeners. What the log says about the way to the database. During an outage every connection fails over and
// over: the first failure of a kind is written at once, the next ones ever less often, and at level `debug` all the others.
import { isUnusable } from '../../db/failures.ts'
import type { PoolEvent } from '../../db/slot.ts'
import type { Logger } from '../observe/log.ts'

type Trouble = Exclude<PoolEvent['type'], 'ready'>

const PAUSE_MS_FIRST = 1000
const PAUSE_MS_MAX = 60_000
const LINES = {
  lost: { level: 'warn', text: 'Connection to the database was lost' },
  unreachable: { level: 'warn', text: 'Database is unreachable' },
  mismatch: { level: 'error', text: 'An answer of the database did not belong to its call' },
} as const satisfies Record<Trouble, { level: 'warn' | 'error'; text: string }>

const UNUSABLE = { level: 'error', text: 'Database cannot be used as it is set up' } as const

export class OutageLog {
  readonly #log: Logger
  readonly #pauses: Readonly<Record<Trouble, Pause>> = {
    lost: new Pause(),
    unreachable: new Pause(),
    mismatch: new Pause(),
  }
  #reachable = false

  constructor(log: Logger) {
    this.#log = log
  }

  /** @param nowMs by `performance.now()` */
  write(event: PoolEvent, nowMs: number): void {
    if (event.type === 'ready') this.#writeReachable(nowMs)
    else this.#writeTrouble(event.type, event.error, nowMs)
  }

  #writeReachable(nowMs: number): void {
    for (const pause of Object.values(this.#pauses)) pause.shorten(nowMs)
    // What was not said to be lost need not be said to be found.
    if (this.#reachable) return
    this.#reachable = true
    this.#log.info('Database is reachable')
  }

  #writeTrouble(type: Trouble, err: Error, nowMs: number): void {
    const unwritten = this.#pauses[type].pass(nowMs)
    const { level, text } = isUnusable(err) ? UNUSABLE : LINES[type]
    if (unwritten === undefined) {
      this.#log.debug({ err }, text)
      return
    }
    this.#reachable = false
    this.#log[level]({ err, ...(unwritten > 0 ? { unwritten } : {}) }, text)
  }
}

/** Lets one event pass, then none for a second, for two, for four. */
class Pause {
  #pauseMs = PAUSE_MS_FIRST
  #passedAtMs = Number.NEGATIVE_INFINITY
  #held = 0

  /** How many were held back since the last that passed; undefined when this one is held back, too. */
  pass(nowMs: number): number | undefined {
    if (nowMs - this.#passedAtMs < this.#pauseMs) {
      this.#held += 1
      return undefined
    }
    const held = this.#held
    this.#pauseMs =
      this.#passedAtMs < 0 ? PAUSE_MS_FIRST : Math.min(2 * this.#pauseMs, PAUSE_MS_MAX)
    this.#passedAtMs = nowMs
    this.#held = 0
    return held
  }

  /** After an outage: the next one is reported at once, but a connection that comes and goes not more than once a second. */
  shorten(nowMs: number): void {
    this.#pauseMs = PAUSE_MS_FIRST
    if (nowMs - this.#passedAtMs >= PAUSE_MS_FIRST) this.#passedAtMs = Number.NEGATIVE_INFINITY
  }
}
