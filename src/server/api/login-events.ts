// Runs in listeners. What the log says of logins, for whoever looks for attacks: who and from where, as far as it is known,
// and never what was typed.
import type { Logger } from '../observe/log.ts'
import type { Sampling } from '../observe/sampling.ts'
import type { TraceContext } from '../observe/trace-context.ts'

/** Names are stable: alerts rely on them. */
const MESSAGES = {
  account_registered: 'Account registered',
  password_refused: 'Common password refused',
  login_succeeded: 'Logged in',
  login_failed: 'Login failed',
  login_throttled: 'Login refused, too many have failed',
} as const

export type LoginEvent = keyof typeof MESSAGES

/** The request that it is about. */
interface Source {
  readonly requestId: string
  readonly client: string
  readonly trace: TraceContext | undefined
}

export interface LoginReports {
  readonly report: (event: LoginEvent, source: Source, userId?: string) => void
  /** How often each has happened. */
  readonly counts: Readonly<Record<LoginEvent, number>>
}

/**
 * Makes the function that logs them. Each takes the hash of a password, so there are dozens a second at most, and they are
 * sampled by client; only refusals come in any number, and are sampled all together. A line says how many it stands for.
 */
export function createLoginReports(log: Logger, sampling: Sampling): LoginReports {
  const counts = {
    account_registered: 0,
    password_refused: 0,
    login_succeeded: 0,
    login_failed: 0,
    login_throttled: 0,
  }
  const report: LoginReports['report'] = (
    event,
    { requestId: request_id, client, trace },
    user_id,
  ) => {
    counts[event] += 1
    const kind = event === 'login_throttled' ? event : `${event} ${client} ${user_id ?? ''}`
    const level = event === 'login_throttled' ? 'warn' : 'info'
    sampling.add(kind, (repeats) => {
      const counted = repeats === 0 ? {} : { repeats }
      log[level](
        { event, request_id, trace_id: trace?.traceId, client, user_id, ...counted },
        MESSAGES[event],
      )
    })
  }
  return { report, counts }
}
