// Runs in listeners. The one state of a listener, which only moves on.

/**
 * - `starting`: it accepts connections, and not every statement is prepared.
 * - `ready`: it wants traffic.
 * - `draining`: readiness fails, and connections are refused or will be.
 * - `closing`: connections are refused, and each open one is closed with its next answer.
 * - `closed`: nothing is answered any more.
 */
const STATES = ['starting', 'ready', 'draining', 'closing', 'closed'] as const

export type ListenerState = (typeof STATES)[number]

export class Lifecycle {
  #state: ListenerState = 'starting'

  get state(): ListenerState {
    return this.#state
  }

  /** True when this moves the listener on; false when it is there already, or past it. */
  moveTo(state: ListenerState): boolean {
    if (STATES.indexOf(state) <= STATES.indexOf(this.#state)) return false
    this.#state = state
    return true
  }
}
