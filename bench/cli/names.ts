// How the commands of this folder take names of scenarios and servers.
import type { Command } from 'commander'

interface Named {
  name: string
}

/** For messages and help. */
export function names(of: readonly Named[]): string {
  return of.map(({ name }) => name).join(', ')
}

/** Reads a comma-separated option. */
export function list(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

/** Those that are wanted, in the order of `all`; all of them when nothing is said. Ends the program at an unknown name. */
export function choose<T extends Named>(
  program: Command,
  all: readonly T[],
  wanted: readonly string[] | undefined,
): T[] {
  const unknown = wanted?.filter((name) => !all.some((item) => item.name === name)) ?? []
  if (unknown.length > 0) program.error(`Unknown: ${unknown.join(', ')}; there are ${names(all)}`)
  return all.filter(({ name }) => wanted?.includes(name) ?? true)
}
