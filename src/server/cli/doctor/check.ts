// Runs in the command `doctor`. A check, what it finds, and how all of them are run.
import { describe } from '../target.ts'

const CHECK_MS_MAX = 5000

/**
 * - `warning`: the service runs, but not as it should.
 * - `problem`: the service does not start, or does not serve.
 * - `skipped`: it cannot be known as long as something else is wrong.
 */
export type Level = 'ok' | 'warning' | 'problem' | 'skipped'

/** What a check has found. Holds no secret. */
export interface Found {
  readonly level: Level
  readonly found: string
  /** What to do about it. */
  readonly fix?: string
}

export interface Finding extends Found {
  readonly check: string
}

export interface Check {
  readonly name: string
  /** One that takes too long is left to `signal`. */
  readonly run: (
    signal: AbortSignal,
  ) => Promise<Found | readonly Found[]> | Found | readonly Found[]
}

/** Runs all at once; one that fails or takes too long keeps none of the others from its result. */
export async function runChecks(checks: readonly Check[]): Promise<Finding[]> {
  const findings = await Promise.all(
    checks.map(async ({ name, run }) => {
      const found = await runInTime(run)
      return [found].flat().map((each) => ({ check: name, ...each }))
    }),
  )
  return findings.flat()
}

async function runInTime(run: Check['run']): Promise<Found | readonly Found[]> {
  const late = new AbortController()
  const text = `No result within ${CHECK_MS_MAX / 1000} s`
  const { promise, resolve } = Promise.withResolvers<Found>()
  const timer = setTimeout(() => {
    resolve({ level: 'problem', found: text })
    late.abort()
  }, CHECK_MS_MAX)
  try {
    return await Promise.race([run(late.signal), promise])
  } catch (error) {
    return explain(error)
  } finally {
    clearTimeout(timer)
  }
}

/** Many messages say what to do themselves. */
function explain(error: unknown): Found {
  const [found = '', fix] = describe(error).split('; fix: ')
  return fix === undefined ? { level: 'problem', found } : { level: 'problem', found, fix }
}

export function ok(found: string): Found {
  return { level: 'ok', found }
}

export function warn(found: string, fix: string): Found {
  return { level: 'warning', found, fix }
}

export function fail(found: string, fix: string): Found {
  return { level: 'problem', found, fix }
}
