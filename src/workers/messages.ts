// The messages between processes and between threads. Loads nothing.

/** Supervisor to listener. `refuse` to all comes before `drain` to any. */
export type SupervisorMessage = { type: 'refuse' } | { type: 'drain' }

/** Listener to supervisor: it now accepts connections; it no longer does. */
export type ListenerMessage = { type: 'listening' } | { type: 'refusing' }

/** Listener to hash thread. */
export type PasswordTask =
  | { type: 'hash'; password: string }
  | { type: 'verify'; hash: string; password: string }

/** Argument with which the service's entry becomes a listener. */
export const LISTENER_ROLE = 'listener'
/** Argument of a listener that applies what is pending before it listens: those of a start, not those that replace one. */
export const MIGRATES = 'migrates'
