// What processes and threads say to each other. Type-only: loads nothing.

/** Supervisor to listener. `refuse` to all comes before `drain` to any. */
export type SupervisorMessage = { type: 'refuse' } | { type: 'drain' }

/** Listener to supervisor: it accepts connections; it no longer does. */
export type ListenerMessage = { type: 'listening' } | { type: 'refusing' }

/** Listener to hash thread. */
export type PasswordTask =
  | { type: 'hash'; password: string }
  | { type: 'verify'; hash: string; password: string }
