// The service is started before its database, which may also crash while the service waits for it.
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../../bench/load/scenario.ts'
import {
  exitFigure,
  listFigure,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startListening,
  timeFigure,
  truthFigures,
  untilReady,
} from '../scenario.ts'
import { startTraffic } from '../traffic.ts'

const READY_MS_MAX = 2000
const DELAY_MS_MAX = 3000
const CRASH_SHARE = 0.5
const CRASH_DELAY_MS_MAX = 500
const ANSWERS = 50

export const starts: Scenario = {
  name: 'starts',
  promise: 'The service may be started before its database',
  run: startFirst,
}

async function startFirst(stage: Stage): Promise<Outcome> {
  const random = seededRandom(stage.seed)
  const rounds = scaled(stage, 50, 2)
  const ended: string[] = []
  const wrong: string[] = []
  let crashes = 0
  let slowest = 0
  for (let round = 0; round < rounds; round += 1) {
    await stage.server.stop()
    const starting = startListening(stage, { LISTENERS: '2', STARTUP_TIMEOUT_MS: '60000' }).catch(
      (error) => {
        ended.push(String(error))
      },
    )
    await delay(random() * DELAY_MS_MAX)
    await stage.server.start()
    if (random() < CRASH_SHARE) {
      await delay(random() * CRASH_DELAY_MS_MAX)
      await stage.server.kill()
      await delay(random() * CRASH_DELAY_MS_MAX)
      await stage.server.start()
      crashes += 1
    }
    const healedAt = performance.now()
    const service = await starting
    if (!service) continue
    try {
      await untilReady(service.url)
      slowest = Math.max(slowest, performance.now() - healedAt)
      const traffic = await startTraffic(service.url, 1)
      while (traffic.report.goodAt.length < ANSWERS) await delay(10)
      const report = await traffic.stop()
      const figures = [...truthFigures(report), exitFigure([service])]
      for (const { name, measured, limit } of figures) {
        if (measured > limit) wrong.push(`${name}: ${measured}`)
      }
    } finally {
      await service.stop()
    }
    stage.note(`${round + 1} of ${rounds}, slowest ${Math.round(slowest)} ms`)
  }
  return {
    done: `${rounds} starts 0 to 3 s before PostgreSQL; ${crashes} times it crashed during the start`,
    figures: [
      listFigure('starts that ended', ended),
      listFigure('services that did not work afterwards', wrong),
      timeFigure('slowest readiness after PostgreSQL answers', slowest, READY_MS_MAX),
    ],
  }
}
