// What is changed in the PostgreSQL driver (postgres 3.4.9) before it runs in production.

/** A text in one file of the driver, and what takes its place. */
export interface DriverChange {
  /** The end of its path or URL. */
  file: string
  from: RegExp | string
  to: string
}

/**
 * The first two: V8 of Node 22 never finishes optimizing the constructor of a class that extends a built-in one and adds
 * its fields after `super`. Ten times a second it compiles the constructor and its callers, for up to 14 ms each, on the
 * CPUs that requests need, and throws the code away (--trace-opt: "bailed out due to dependency change"). Declared fields
 * are optimized. p99 of reads at 8500/s: 2.8 ms with the first, 5.7 ms without; p90 of lists at 4600/s: 0.5 ms with the
 * second, 1.0 ms without.
 *
 * The third: the queue of sent statements dropped answered ones only when it was empty, which it never is under a steady
 * load. Each took 8 bytes: 0.2 GB an hour at 8000/s.
 */
export const DRIVER_CHANGES: readonly DriverChange[] = [
  {
    file: '/postgres/src/result.js',
    from: /constructor\(\) \{.*?\n {2}\}\n/s,
    to: 'count = null; state = null; command = null; columns = null; statement = null\n',
  },
  {
    file: '/postgres/src/query.js',
    from: 'constructor(strings,',
    to: `tagged; strings; args; handler; canceller; options; state; statement
  resolve; reject; active; cancelled; executed; signature
  constructor(strings,`,
  },
  {
    file: '/postgres/src/queue.js',
    from: 'xs[index - 1] = undefined',
    to: 'xs[index - 1] = undefined; if (index > 1000) { xs = xs.slice(index); index = 0 }',
  },
]

/** The changed source of a file of the driver, given its path or URL; `undefined` for a file that is not changed. */
export function changeDriver(id: string, source: string): string | undefined {
  const change = DRIVER_CHANGES.find(({ file }) => id.endsWith(file))
  if (!change) return undefined
  const changed = source.replace(change.from, change.to)
  if (changed === source) throw new Error(`${id} lacks the text that driver-changes.ts replaces`)
  return changed
}
