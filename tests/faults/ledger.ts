// What clients have seen of the service: one report for all the users of a traffic.

export interface TrafficReport {
  /** Answers by status. */
  statuses: Map<number, number>
  /** Answers of 400 and more by the code of their problem. */
  codes: Map<string, number>
  /** Answers that belong to somebody else, or that are not what was asked for. */
  wrong: string[]
  /** Answers of 500, with what they said. */
  broken: string[]
  /** Requests that were cut off without an answer. */
  unanswered: string[]
  /** Requests whose connection was refused: nothing was sent. */
  refused: number
  /** Requests that were neither answered nor closed in time. */
  late: string[]
  /** The longest that a request took, in milliseconds. */
  longestMs: number
  /** When good answers came, ascending. */
  goodAt: number[]
  /** Requests that have been sent. */
  started: number
  inFlight: number
  /** Of those in flight, creations. */
  creating: number
  /** Creations that have been sent. */
  created: number
  /** Requests that were due while too many were in flight already; then the rate was not what was asked for. */
  skipped: number
  /** How late the timer of these clients was at worst: what they measure is no finer. */
  ownDelayMs: number
}

export function createReport(): TrafficReport {
  return {
    statuses: new Map(),
    codes: new Map(),
    wrong: [],
    broken: [],
    unanswered: [],
    refused: 0,
    late: [],
    longestMs: 0,
    goodAt: [],
    started: 0,
    inFlight: 0,
    creating: 0,
    created: 0,
    skipped: 0,
    ownDelayMs: 0,
  }
}

/** Answers of any status. */
export function countAnswers({ statuses }: TrafficReport): number {
  return [...statuses.values()].reduce((sum, count) => sum + count, 0)
}

/** Requests that did not succeed, of those that were sent. */
export function countErrors(report: TrafficReport): number {
  const { goodAt, unanswered } = report
  return countAnswers(report) - goodAt.length + unanswered.length
}

/** How the requests ended, in words. */
export function describeAnswers({ goodAt, codes, unanswered, refused }: TrafficReport): string {
  const counts = [...codes].map(([code, count]) => `${count} \`${code}\``)
  return [
    `${goodAt.length} requests succeeded`,
    ...counts,
    `${unanswered.length} cut off`,
    `${refused} refused connections`,
  ].join(', ')
}
