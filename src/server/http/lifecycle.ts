// Runs in listeners. The state of a listener, which only moves forward.

/**
 * - `starting`: it accepts connections, but the database is not migrated, or not every statement is prepared yet.
 * - `ready`: it wants traffic.
 * - `draining`: readiness fails, and connections are refused or will be.
 * - `closing`: connections are refused, and each open one is closed with its next answer.
 * - `closed`: nothing is answered any more.
 */
const STATES = ['starting', 'ready', 'draining', 'closing', 'closed'] as const

export type ListenerState = (typeof STATES)[number]

export class Lifecycle {
  #state: ListenerState = 'starting'
  /** What a listener that is starting waits for, in words for clients. */
  pending = 'Migrations have not run yet'

  get state(): ListenerState {
    return this.#state
  }

  /** True when this moves the listener forward; false when it is already there or further. */
  moveTo(state: ListenerState): boolean {
    if (STATES.indexOf(state) <= STATES.indexOf(this.#state)) return false
    this.#state = state
    return true
  }
}
