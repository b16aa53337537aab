// The messages between processes and between threads. Loads nothing.
import type { Family } from '../stats/families.ts'

/**
 * What a start knows of the database: `migrated` is final. Until then listeners open no connection of their own.
 */
export type DatabaseState = 'unreachable' | 'migrating' | 'migrated'

/**
 * What an operator wants to know of a listener: numbers about its heap, all objects there, or where its time goes. It is
 * written to `file`.
 */
export type Inspection =
  | { what: 'heap'; file: string }
  | { what: 'snapshot'; file: string }
  | { what: 'profile'; file: string; seconds: number }

/** Supervisor to listener. `refuse` to all comes before `drain` to any. */
export type SupervisorMessage =
  | { type: 'refuse' }
  | { type: 'drain' }
  | { type: 'database'; state: DatabaseState }
  /** Whether all listeners but the receiver are ready, as far as they have reported. */
  | { type: 'others'; ready: boolean }
  /** What it is to log from now on, as in `LOG_LEVEL`. */
  | { type: 'log-level'; levels: string }
  /** Asks for what it has counted. */
  | { type: 'count'; round: number }
  | { type: 'inspect'; inspection: Inspection }

/**
 * Listener to supervisor: it now accepts connections, has tried to open its own to the database, or no longer accepts
 * connections. The service reports to the command `dev` that it is usable.
 */
export type ListenerMessage =
  | { type: 'listening' }
  | { type: 'usable' }
  | { type: 'refusing' }
  /** Its event loop turns. */
  | { type: 'beat' }
  /** Its readiness has changed, or is known for the first time. */
  | { type: 'readiness'; ready: boolean }
  /** What it has counted, in answer to the supervisor's question of that round. */
  | { type: 'counted'; round: number; families: readonly Family[] }
  /** The file is written, unless there is a reason why not. */
  | { type: 'inspected'; reason?: string }

/** Listener to hash thread. */
export type PasswordTask =
  | { type: 'hash'; password: string }
  /** Hashes it unless it is a common one. */
  | { type: 'hash-uncommon'; password: string }
  | { type: 'verify'; hash: string; password: string }

/** Interval of a listener's beats. */
export const BEAT_MS = 2000
/** A listener that was not heard for this long has stopped working. */
export const SILENCE_MS_MAX = 10_000
/** Argument with which the service's entry becomes a listener. */
export const LISTENER_ROLE = 'listener'
/** Argument of a listener that replaces another when the database is migrated: it connects to it before it listens. */
export const MIGRATED = 'migrated'
