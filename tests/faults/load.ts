// Loads that run in threads of their own, and the accounts that they need.
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { SeedUser } from '../../bench/load/scenario.ts'
import { type Account, createClient } from '../support/client.ts'
import type { CrowdOptions, CrowdReport } from './crowd.ts'
import type { Job, Order, Report } from './load-thread.ts'
import type { SteadyLoadOptions, SteadyLoadReport } from './steady-load.ts'
import { registerAll } from './traffic.ts'

export interface Load {
  setRate(ratePerSecond: number): void
  /** What has happened since the last report. */
  report(): Promise<SteadyLoadReport>
  stop(): Promise<SteadyLoadReport>
}

export interface RunningCrowd {
  report(): Promise<CrowdReport & { open: number }>
  stop(): Promise<CrowdReport>
}

const THREAD = new URL('./load-thread.ts', import.meta.url)
/** A rate is too high once a hundredth of its answers take longer. */
const P99_MS_MAX = 20
const RATE_MIN = 1000
const RATE_FACTOR = 1.2
const RATE_STEPS_MAX = 25

export function startLoad(options: SteadyLoadOptions): Load {
  const { ask, tell } = startThread<SteadyLoadReport>({ load: options })
  return {
    setRate: (ratePerSecond) => tell({ type: 'rate', ratePerSecond }),
    report: () => ask({ type: 'report' }),
    stop: () => ask({ type: 'stop' }),
  }
}

export function startCrowd(options: CrowdOptions): RunningCrowd {
  const { ask } = startThread<CrowdReport & { open: number }>({ crowd: options })
  return { report: () => ask({ type: 'report' }), stop: () => ask({ type: 'stop' }) }
}

/** The highest rate of a rising row that the service keeps up with, without an error. */
export async function findCapacity(load: Load, stepMs: number): Promise<number> {
  let capacity = RATE_MIN
  let rate = RATE_MIN
  // The first requests find code that is not compiled yet.
  load.setRate(RATE_MIN)
  await delay(stepMs)
  await load.report()
  for (let step = 0; step < RATE_STEPS_MAX; step += 1) {
    load.setRate(rate)
    await delay(stepMs)
    const { tally, skipped, p99Ms } = await load.report()
    const good = Object.keys(tally.statuses).every((status) => Number(status) < 300)
    if (!good || tally.lost > 0 || skipped > 0 || p99Ms > P99_MS_MAX) return capacity
    capacity = rate
    rate = Math.round(rate * RATE_FACTOR)
  }
  return capacity
}

/** Accounts that have tasks. */
export async function makeUsers(url: string, count: number, tasks: number): Promise<SeedUser[]> {
  const client = createClient(url)
  const accounts = await registerAll(client, count)
  const addTasks = async (account: Account) => {
    const taskIds: string[] = []
    for (let number = 0; number < tasks; number += 1) {
      const { token } = account
      const { status, body } = await client.post('/api/v1/tasks', { title: 'A task' }, { token })
      if (status !== 201) throw new Error(`Cannot create a task: ${status}`)
      taskIds.push(body.id)
    }
    return { ...account, taskIds }
  }
  return Promise.all(accounts.map(addTasks))
}

// The rule is for windows of browsers; a thread has no origin.
/* oxlint-disable unicorn/require-post-message-target-origin */
function startThread<Answer extends Report>(job: Job) {
  const worker = new Worker(THREAD, { workerData: job })
  return {
    tell: (order: Order) => worker.postMessage(order),
    ask: async (order: Order) => {
      const answered = once(worker, 'message')
      worker.postMessage(order)
      const [answer] = await answered
      return answer as Answer
    },
  }
}
