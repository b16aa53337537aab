// The messages between processes and between threads. Loads nothing.

/** Supervisor to listener. `refuse` to all comes before `drain` to any. */
export type SupervisorMessage = { type: 'refuse' } | { type: 'drain' }

/** Listener to supervisor: it now accepts connections, or no longer does; and all the time, that its event loop turns. */
export type ListenerMessage = { type: 'listening' } | { type: 'refusing' } | { type: 'beat' }

/** Listener to hash thread. */
export type PasswordTask =
  | { type: 'hash'; password: string }
  | { type: 'verify'; hash: string; password: string }

/** Interval of a listener's beats. */
export const BEAT_MS = 2000
/** A listener that was not heard for this long has stopped working. */
export const SILENCE_MS_MAX = 10_000
/** Argument with which the service's entry becomes a listener. */
export const LISTENER_ROLE = 'listener'
/** Argument of a listener that applies pending migrations before it listens: given at a start, not to replacements. */
export const MIGRATES = 'migrates'
