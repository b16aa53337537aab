// Runs in listeners. Finds out whether each connection has a session of PostgreSQL to itself. Behind a transaction pooler
// it has not: settings and named statements end up in sessions that other clients use.
import { ConnectionError } from './wire/error.ts'

/** A connection before anything is set on it. */
export interface Probed {
  /** The number of the backend, as it was told at the start. */
  readonly processId: number | undefined
  query(text: string): Promise<(string | null)[][]>
  destroy(error: Error): void
}

const ROUNDS = 8
/** A second connection that gets no session within this time waits for the one that the first keeps. */
const PROBE_MS_MAX = 1000

/** Rejects when statements of one connection run in several sessions, or those of two connections in the same. */
export class SessionCheck {
  #checked: Promise<void> | undefined

  /** Cheap for PostgreSQL itself; behind a pooler, one connection is checked for all. */
  async check(first: Probed, openSecond: (signal: AbortSignal) => Promise<Probed>): Promise<void> {
    // A pooler cannot know at the start which backend it will use, and makes up a number.
    if ((await readProcessId(first)) === first.processId) return
    this.#checked ??= checkPooled(first, openSecond)
    await this.#checked
  }

  /** The next connection is checked again: a pooler may have been configured anew. */
  forget(): void {
    this.#checked = undefined
  }
}

async function checkPooled(
  first: Probed,
  openSecond: (signal: AbortSignal) => Promise<Probed>,
): Promise<void> {
  const timeout = AbortSignal.timeout(PROBE_MS_MAX)
  let second: Probed
  try {
    second = await openSecond(timeout)
  } catch {
    // No room for another session: those that there are belong to their connections, or the statements will say so.
    return
  }
  const error = new ConnectionError('CONNECTION_ENDED', 'The check is over')
  const giveUp = () => second.destroy(error)
  timeout.addEventListener('abort', giveUp)
  try {
    if (!(await isShared(first, second))) return
  } finally {
    timeout.removeEventListener('abort', giveUp)
    giveUp()
  }
  throw new ConnectionError(
    'SESSIONS_SHARED',
    'The database is behind a transaction pooler, which keeps no session; set DB_POOLER=transaction',
  )
}

/**
 * A pooler hands out the session that was used last, or each in its turn. In the first case the second connection gets the
 * first one's; in the other, two statements in a row on one connection run in two sessions, unless there is only one.
 */
async function isShared(first: Probed, second: Probed): Promise<boolean> {
  const own = await readProcessId(first)
  for (let round = 0; round < ROUNDS; round += 1) {
    if ((await readProcessId(first)) !== own) return true
    const other = await readProcessId(second).catch(() => undefined)
    // It waits for a session, so the first one's is not free.
    if (other === undefined) return false
    if (other === own || (await readProcessId(first)) !== own) return true
  }
  return false
}

async function readProcessId(connection: Probed): Promise<number> {
  const [row] = await connection.query('select pg_backend_pid()')
  return Number(row?.[0])
}
