// What a service can bear on this machine, today: the yardstick for what it does when it is asked for more.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FloodOptions, FloodReport } from './flood.ts'

const run = promisify(execFile)
const FLOOD = join(import.meta.dirname, 'flood.ts')

export type Target = Pick<FloodOptions, 'url' | 'users' | 'tasksPerUser' | 'seed'>

export interface Capacity {
  /** The highest open-loop rate that was borne. */
  ratePerSecond: number
  /** p99 at `EASE` of it. */
  easyP99Ms: number
  /** Refusals a second that can be answered when nothing else is. */
  refusalsPerSecond: number
}

/** Of an answer at the rate that is borne. */
export const BORNE_P99_MS_MAX = 20
/** The share of the capacity at which a service has time left. */
export const EASE = 0.8
const STEP_SHARE = 0.05
const STEPS_MAX = 14
/** A machine that does something else for a moment must not count as a service that cannot bear the rate. */
const TRIES = 3
const CONNECTIONS = 256
const PROBE_CONNECTIONS = 64

export async function flood(
  target: Target,
  load: Omit<FloodOptions, keyof Target>,
): Promise<FloodReport> {
  const options: FloodOptions = { ...target, ...load }
  const { stdout } = await run(process.execPath, [FLOOD, JSON.stringify(options)])
  return JSON.parse(stdout)
}

/** The rate of connections that ask again at once: near the capacity, without a look at latencies. */
export async function estimateCapacity(target: Target, seconds: number): Promise<Capacity> {
  const { good } = await flood(target, { connections: PROBE_CONNECTIONS, seconds })
  const anonymous = await flood(target, {
    connections: PROBE_CONNECTIONS,
    seconds,
    anonymous: true,
  })
  return {
    ratePerSecond: good.count / seconds,
    easyP99Ms: good.p99Ms,
    refusalsPerSecond: (anonymous.others[401] ?? 0) / seconds,
  }
}

export async function measureCapacity(target: Target, stepSeconds: number): Promise<Capacity> {
  // Code that has just been started is compiled while it runs.
  await flood(target, { connections: PROBE_CONNECTIONS, seconds: stepSeconds })
  const estimate = await estimateCapacity(target, stepSeconds)
  const ratePerSecond = await findRate(target, estimate.ratePerSecond, stepSeconds)
  const easy = { connections: CONNECTIONS, ratePerSecond: EASE * ratePerSecond }
  const { good } = await flood(target, { ...easy, seconds: 2 * stepSeconds })
  return { ...estimate, ratePerSecond, easyP99Ms: good.p99Ms }
}

/** From the rate of connections that ask again at once down to the first that is borne. */
async function findRate(target: Target, from: number, seconds: number): Promise<number> {
  let ratePerSecond = from
  for (let step = 0; step < STEPS_MAX; step += 1) {
    ratePerSecond = Math.round(from * (1 - step * STEP_SHARE))
    for (let tries = 0; tries < TRIES; tries += 1) {
      const report = await flood(target, { connections: CONNECTIONS, ratePerSecond, seconds })
      if (isBorne(report)) return ratePerSecond
    }
  }
  return ratePerSecond
}

function isBorne({ good, refused, others, unsent, unanswered }: FloodReport): boolean {
  const errors = refused.count + unsent + unanswered + Object.keys(others).length
  return errors === 0 && good.p99Ms <= BORNE_P99_MS_MAX
}
