// Runs in the supervisor process. The inspection of a listener: one at a time, because each slows the listener down.
import type { Inspection, SupervisorMessage } from './messages.ts'

/** What an inspection may take beyond the time that it is asked for: a heap of some gigabytes is written in less. */
const PATIENCE_MS = 60_000

/** A listener that can be inspected. */
export interface Inspected {
  send(message: SupervisorMessage): void
}

interface Pending {
  readonly listener: Inspected
  readonly answer: PromiseWithResolvers<void>
}

export class Inspections {
  #pending: Pending | undefined

  /** Resolves when the file is written. Rejects when another inspection is in flight, or the listener ends. */
  async start(listener: Inspected, inspection: Inspection): Promise<void> {
    if (this.#pending) throw new Error('Another inspection is in flight')
    const answer = Promise.withResolvers<void>()
    this.#pending = { listener, answer }
    const askedMs = inspection.what === 'profile' ? inspection.seconds * 1000 : 0
    const late = setTimeout(() => this.#fail('The listener does not answer'), askedMs + PATIENCE_MS)
    listener.send({ type: 'inspect', inspection })
    try {
      await answer.promise
    } finally {
      clearTimeout(late)
      this.#pending = undefined
    }
  }

  /** Whether this listener is being inspected: its event loop stands still while all of its heap is written. */
  holds(listener: Inspected): boolean {
    return this.#pending?.listener === listener
  }

  /** Takes note of a listener's answer: why there is no file, or nothing. */
  receive(listener: Inspected, reason: string | undefined): void {
    if (!this.holds(listener)) return
    if (reason === undefined) this.#pending?.answer.resolve()
    else this.#fail(reason)
  }

  /** Takes note of a listener that has ended. */
  end(listener: Inspected): void {
    if (this.holds(listener)) this.#fail('The listener has ended')
  }

  #fail(reason: string): void {
    this.#pending?.answer.reject(new Error(reason))
  }
}
