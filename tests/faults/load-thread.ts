// The thread of `startLoad` and `startCrowd`: what sends much must not wait for what looks closely, nor the other way.
import { parentPort, workerData } from 'node:worker_threads'
import { Crowd, type CrowdOptions, type CrowdReport } from './crowd.ts'
import { SteadyLoad, type SteadyLoadOptions, type SteadyLoadReport } from './steady-load.ts'

export type Job = { load: SteadyLoadOptions } | { crowd: CrowdOptions }
export type Order = { type: 'rate'; ratePerSecond: number } | { type: 'report' } | { type: 'stop' }
export type Report = SteadyLoadReport | (CrowdReport & { open: number })

const STOP_PATIENCE_MS = 15_000

const job = workerData as Job
// The rule is for windows of browsers; the port of a thread has no origin.
/* oxlint-disable unicorn/require-post-message-target-origin */
const work = 'load' in job ? new SteadyLoad(job.load) : new Crowd(job.crowd)
parentPort?.on('message', (order: Order) => {
  if (order.type === 'rate') {
    if (work instanceof SteadyLoad) work.ratePerSecond = order.ratePerSecond
  } else if (order.type === 'report') {
    parentPort?.postMessage(work.report())
  } else {
    void work.stop(STOP_PATIENCE_MS).then(() => {
      parentPort?.postMessage(work.report())
      parentPort?.close()
    })
  }
})
