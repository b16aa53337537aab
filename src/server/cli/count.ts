// Runs in commands. A number of things in words.

/** `1,200 users`, `1 user`. */
export function countOf(count: number, things: string): string {
  return `${formatCount(count)} ${count === 1 ? things.replace(/s$/, '') : things}`
}

export function formatCount(count: number): string {
  return count.toLocaleString('en')
}
