// Listeners are killed, at first one a second, then ten.
import { setTimeout as delay } from 'node:timers/promises'
import { pick, seededRandom } from '../../../bench/load/scenario.ts'
import { countErrors, describeAnswers } from '../ledger.ts'
import { longestGapMs } from '../meter.ts'
import {
  listenersOf,
  measureRecovery,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startNode,
  timeFigure,
  truthFigures,
} from '../scenario.ts'
import { startTraffic } from '../traffic.ts'

const RATE_PER_SECOND = 150
const ACCOUNTS = 6
const GAP_MS_MAX = 1000
const RECOVERY_MS_MAX = 2000
/** A connection to a process that was killed may take requests for this long, until its end is noticed. */
const NOTICE_MS = 20

export const listeners: Scenario = {
  name: 'listeners',
  promise: 'A listener that is killed costs only its requests in flight',
  run: killListeners,
}

async function killListeners(stage: Stage): Promise<Outcome> {
  const random = seededRandom(stage.seed)
  const service = await startNode(stage, { LISTENERS: '2' })
  try {
    const traffic = await startTraffic(service.url, ACCOUNTS, { ratePerSecond: RATE_PER_SECOND })
    const { report } = traffic
    const kills = scaled(stage, 200, 6)
    const startedAt = performance.now()
    let inFlight = 0
    for (let count = 0; count < kills; count += 1) {
      await delay(count < kills / 2 ? 1000 : 100 - NOTICE_MS)
      const [first, ...others] = listenersOf(service)
      if (!first || first === service.child.pid) continue
      inFlight += report.inFlight
      const { started } = report
      process.kill(pick([first, ...others], random), 'SIGKILL')
      await delay(NOTICE_MS)
      inFlight += report.started - started
      if (count % 20 === 19) stage.note(`${count + 1} of ${kills} kills`)
    }
    const lastKillAt = performance.now()
    const recovery = await measureRecovery(report, lastKillAt, RATE_PER_SECOND)
    const gap = longestGapMs(report.goodAt, startedAt, performance.now())
    await traffic.stop()
    return {
      done:
        `${kills} kills of one of two listeners, half of them one a second, half ten, ` +
        `at ${RATE_PER_SECOND} requests a second; ` +
        describeAnswers(report),
      figures: [
        ...truthFigures(report),
        {
          name: 'requests that failed, at most those in flight',
          measured: countErrors(report),
          limit: inFlight,
        },
        {
          name: 'ends of the supervisor',
          measured: service.child.exitCode === null ? 0 : 1,
          limit: 0,
        },
        timeFigure('longest time without a good answer', gap, GAP_MS_MAX),
        timeFigure('90 % of the rate after the last', recovery, RECOVERY_MS_MAX),
      ],
    }
  } finally {
    await service.stop()
  }
}
