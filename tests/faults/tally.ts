// What became of the requests of one kind.

export interface Tally {
  sent: number
  /** Answers by status. */
  statuses: Record<number, number>
  /** Requests that were cut off without an answer. */
  lost: number
}

export function createTally(): Tally {
  return { sent: 0, statuses: {}, lost: 0 }
}

export function countStatus({ statuses }: Tally, status: number): void {
  statuses[status] = (statuses[status] ?? 0) + 1
}

/** Counts what another has counted. */
export function addTally(sum: Tally, { sent, statuses, lost }: Tally): void {
  sum.sent += sent
  sum.lost += lost
  for (const [status, count] of Object.entries(statuses)) {
    sum.statuses[Number(status)] = (sum.statuses[Number(status)] ?? 0) + count
  }
}

/** Answers of any status. */
export function countAnswers({ statuses }: Tally): number {
  return Object.values(statuses).reduce((sum, count) => sum + count, 0)
}

/** Answers of any of these statuses. */
export function answersOf({ statuses }: Tally, ...wanted: number[]): number {
  return wanted.reduce((sum, status) => sum + (statuses[status] ?? 0), 0)
}

/** Answers of all other statuses, and requests that got none, in words. */
export function othersOf({ statuses, lost }: Tally, ...expected: number[]): string[] {
  const others = Object.entries(statuses).filter(([status]) => !expected.includes(Number(status)))
  return [
    ...others.flatMap(([status, count]) => Array<string>(count).fill(`answered ${status}`)),
    ...Array<string>(lost).fill('cut off'),
  ]
}

export function describeTally(name: string, { sent, statuses, lost }: Tally): string {
  const counts = Object.entries(statuses).map(([status, count]) => `${count} answers of ${status}`)
  return `${sent} ${name} (${[...counts, `${lost} cut off`].join(', ')})`
}
