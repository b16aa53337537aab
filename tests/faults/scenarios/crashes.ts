// PostgreSQL is killed under load and started again.
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../../bench/load/scenario.ts'
import { describeAnswers } from '../ledger.ts'
import {
  ANSWER_MS_MAX,
  exitFigure,
  hangFigure,
  longestFigure,
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
const RECOVERY_MS_MAX = 2000
const DOWN_MS_MAX = 1000

export const crashes: Scenario = {
  name: 'crashes',
  promise: 'A crash of PostgreSQL loses nothing that was acknowledged',
  run: crash,
}

async function crash(stage: Stage): Promise<Outcome> {
  const { server } = stage
  const random = seededRandom(stage.seed)
  const service = await startNode(stage, { LISTENERS: '2' })
  try {
    const traffic = await startTraffic(service.url, ACCOUNTS, {
      ratePerSecond: RATE_PER_SECOND,
      answerMsMax: ANSWER_MS_MAX,
    })
    const { report } = traffic
    const rounds = scaled(stage, 200, 2)
    let slowest = 0
    for (let round = 0; round < rounds; round += 1) {
      await delay(200 + random() * 500)
      await server.kill()
      await delay(random() * DOWN_MS_MAX)
      await server.start()
      slowest = Math.max(slowest, await measureRecovery(report, performance.now(), RATE_PER_SECOND))
      stage.note(`${round + 1} of ${rounds} crashes, slowest recovery ${Math.round(slowest)} ms`)
    }
    await traffic.stop()
    return {
      done: `${rounds} immediate shutdowns at ${RATE_PER_SECOND} requests a second; ${describeAnswers(report)}`,
      figures: [
        ...truthFigures(report),
        longestFigure(report),
        hangFigure(report),
        exitFigure([service]),
        timeFigure('slowest time to 90 % of the rate', slowest, RECOVERY_MS_MAX),
      ],
    }
  } finally {
    await server.start()
    await service.stop()
  }
}
