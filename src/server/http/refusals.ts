// Runs in listeners. How soon clients hear that their requests are turned away.
//
// A refusal costs a fourth of what an answer does, most of it in the kernel. Thousands of clients that ask again at once,
// whatever `Retry-After` says, would leave no time for answers, nor for PostgreSQL's replies, which wait among the sockets of
// those clients. So refusals get a share of the time: what is beyond it waits, and a client that waits does not ask.
import { InFlight, type Member } from './in-flight.ts'

/** Answers that earn one refusal. */
const ANSWERS_PER_REFUSAL = 4
/** What may be refused at once after a calm time. */
const BURST = 256
/** Refusals a second when nothing else is answered. */
const PER_SECOND_MIN = 1000
/** No refusal waits longer, in milliseconds: with 10 000 connections that is 5000 a second. */
const WAIT_MS_MAX = 2000

/** A request whose refusal waits. */
export interface Refused {
  /** True once its client has gone, or it was answered at its deadline. */
  readonly ended: boolean
  /** Sends the refusal. */
  resume(): void
}

interface Waiting extends Member<Waiting> {
  readonly request: Refused
}

export class Refusals {
  #budget = BURST
  readonly #waiting = new InFlight<Waiting>()

  /** False when the request may be refused at once; otherwise it is resumed later. */
  hold(request: Refused, nowMs = performance.now()): boolean {
    if (this.#waiting.size === 0 && this.#budget >= 1) {
      this.#budget -= 1
      return false
    }
    const deadlineMs = nowMs + WAIT_MS_MAX
    this.#waiting.add({ request, deadlineMs, previous: undefined, next: undefined })
    return true
  }

  /** Takes note of an answer that is no refusal. */
  countAnswer(): void {
    if (this.#budget < BURST) this.#budget += 1 / ANSWERS_PER_REFUSAL
  }

  /** Takes note of time that has passed. */
  countTime(ms: number): void {
    this.#budget = Math.min(this.#budget + (PER_SECOND_MIN * ms) / 1000, BURST)
  }

  /** Sends the refusals that have been earned or have waited long enough. Not within a handler's call. */
  release(atMs?: number): void {
    if (this.#waiting.size === 0) return
    const nowMs = atMs ?? performance.now()
    for (let { first } = this.#waiting; first; { first } = this.#waiting) {
      const { request, deadlineMs } = first
      if (!request.ended && this.#budget < 1 && deadlineMs > nowMs) return
      this.#waiting.delete(first)
      if (request.ended) continue
      this.#budget = Math.max(this.#budget - 1, 0)
      request.resume()
    }
  }
}
