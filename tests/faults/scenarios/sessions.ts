// Sessions of the service are terminated, ten a second.
import { setTimeout as delay } from 'node:timers/promises'
import { countErrors, describeAnswers } from '../ledger.ts'
import {
  measureRecovery,
  type Outcome,
  residentMb,
  type Scenario,
  type Stage,
  scaled,
  startNode,
  timeFigure,
  truthFigures,
} from '../scenario.ts'
import { startTraffic } from '../traffic.ts'

const RATE_PER_SECOND = 200
const ACCOUNTS = 6
const PERIOD_MS = 100
/** At this rate, as many as wait when each takes 50 ms: more means that lost sessions are not replaced soon. */
const IN_FLIGHT_MAX = 10
const RECOVERY_MS_MAX = 1000
/** Buffers and code that is compiled later may grow after the first minute by this much. */
const GROWTH_MB_MAX = 40

export const sessions: Scenario = {
  name: 'sessions',
  promise: 'Terminated sessions cost at most the requests in flight',
  run: terminateSessions,
}

async function terminateSessions(stage: Stage): Promise<Outcome> {
  const { server } = stage
  const service = await startNode(stage, { LISTENERS: '2' })
  try {
    const traffic = await startTraffic(service.url, ACCOUNTS, { ratePerSecond: RATE_PER_SECOND })
    const { report } = traffic
    await delay(1000)
    const rounds = scaled(stage, 3000, 30)
    const memoryMb: number[] = []
    let inFlight = 0
    let terminated = 0
    for (let round = 0; round < rounds; round += 1) {
      // In flight when the fault comes: before it, or sent while it happens.
      const { started } = report
      inFlight += report.inFlight
      const rows = await server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name = 'taskapi' and datname = current_database()
         order by random() limit 1`,
      )
      terminated += rows.length
      inFlight += report.started - started
      if (round % 10 === 0) memoryMb.push(residentMb(service))
      if (round % 300 === 299) stage.note(`${round + 1} rounds, ${countErrors(report)} errors`)
      await delay(PERIOD_MS)
    }
    const recovery = await measureRecovery(report, performance.now(), RATE_PER_SECOND)
    await traffic.stop()
    const settled = memoryMb.slice(Math.floor(memoryMb.length / 5))
    return {
      done: `${terminated} sessions terminated, ten a second, at ${RATE_PER_SECOND} requests a second; ${describeAnswers(report)}`,
      figures: [
        ...truthFigures(report),
        {
          name: 'requests that failed, at most those in flight',
          measured: countErrors(report),
          limit: inFlight,
        },
        {
          name: 'mean of the requests in flight at a fault',
          measured: inFlight / rounds,
          limit: IN_FLIGHT_MAX,
          isTime: true,
        },
        timeFigure('90 % of the rate', recovery, RECOVERY_MS_MAX),
        {
          name: 'growth of memory after the first fifth',
          measured: Math.max(0, (settled.at(-1) ?? 0) - (settled[0] ?? 0)),
          limit: GROWTH_MB_MAX,
          unit: 'MB',
        },
      ],
    }
  } finally {
    await service.stop()
  }
}
