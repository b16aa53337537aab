// What processes and threads say to each other. Type-only: loads nothing.

/** Supervisor to listener. */
export type SupervisorMessage = { type: 'drain' }

/** Listener to supervisor. */
export type ListenerMessage = { type: 'listening' }

/** Listener to hash thread. */
export type PasswordTask =
  | { type: 'hash'; password: string }
  | { type: 'verify'; hash: string; password: string }
