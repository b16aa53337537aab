// Closed-loop load by autocannon: each connection sends its next request when it has the answer to the last one.
import autocannon from 'autocannon'
import { createHistogram, type LatencySummary, record, summarize } from './latency.ts'
import type { BenchRequest } from './scenario.ts'

export interface ClosedLoopOptions {
  url: string
  connections: number
  durationSeconds: number
  statuses: readonly number[]
  /** The requests of one connection. */
  requests(connection: number): BenchRequest[]
  signal: AbortSignal
}

export interface ClosedLoopResult {
  requests_per_second: number
  latency: LatencySummary
  /** Connection errors, timeouts and unexpected statuses. */
  errors: number
  /** Share of one CPU that the load generator used. Near 1, the generator was the limit. */
  generator_cpu: number
}

export async function runClosedLoop(options: ClosedLoopOptions): Promise<ClosedLoopResult> {
  options.signal.throwIfAborted()
  const histogram = createHistogram()
  const expected = new Set(options.statuses)
  let unexpected = 0
  let connection = 0
  let lastAnswerAt = 0
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon(
      {
        url: options.url,
        connections: options.connections,
        duration: options.durationSeconds,
        setupClient: (client) => {
          client.setRequests(options.requests(connection))
          connection += 1
        },
      },
      (error, outcome) => (error ? reject(error) : resolve(outcome)),
    )
    instance.on('response', (_client, status, _bytes, milliseconds) => {
      lastAnswerAt = performance.now()
      if (expected.has(status)) record(histogram, milliseconds)
      else unexpected += 1
    })
    const stop = () => instance.stop?.()
    options.signal.addEventListener('abort', stop)
    instance.on('done', () => options.signal.removeEventListener('abort', stop))
  })
  options.signal.throwIfAborted()
  const seconds = (lastAnswerAt - startedAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  return {
    requests_per_second: seconds > 0 ? histogram.totalCount / seconds : 0,
    latency: summarize(histogram),
    errors: result.errors + result.timeouts + unexpected,
    generator_cpu: (cpu.user + cpu.system) / 1e6 / Math.max(seconds, 0.001),
  }
}
