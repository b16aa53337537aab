// The messages between processes and between threads. Loads nothing.

/** Supervisor to listener. `refuse` to all comes before `drain` to any. */
export type SupervisorMessage = { type: 'refuse' } | { type: 'drain' }

/** Listener to supervisor: it now accepts connections, or no longer does. */
export type ListenerMessage = { type: 'listening' } | { type: 'refusing' }

/** Listener to hash thread. */
export type PasswordTask =
  | { type: 'hash'; password: string }
  | { type: 'verify'; hash: string; password: string }

/** Argument with which the service's entry becomes a listener. */
export const LISTENER_ROLE = 'listener'
/** Argument of a listener that applies pending migrations before it listens: given at a start, not to replacements. */
export const MIGRATES = 'migrates'
