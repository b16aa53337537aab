// The schema changes under load in every way that a migration changes it.
import { setTimeout as delay } from 'node:timers/promises'
import { DDL } from '../ddl.ts'
import { countErrors, describeAnswers } from '../ledger.ts'
import {
  exitFigure,
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

const RATE_PER_SECOND = 200
const ACCOUNTS = 6
const RECOVERY_MS_MAX = 1000
const PAUSE_MS = 100

export const schema: Scenario = {
  name: 'schema',
  promise: 'A change of the schema costs no wrong answer and no 500',
  run: changeSchema,
}

async function changeSchema(stage: Stage): Promise<Outcome> {
  const service = await startNode(stage, { LISTENERS: '2' })
  try {
    const traffic = await startTraffic(service.url, ACCOUNTS, { ratePerSecond: RATE_PER_SECOND })
    const { report } = traffic
    const rounds = scaled(stage, 50, 1)
    for (let round = 0; round < rounds; round += 1) {
      for (const statement of DDL) {
        await stage.server.query(statement)
        await delay(PAUSE_MS)
      }
      stage.note(`round ${round + 1} of ${rounds}, ${countErrors(report)} errors`)
    }
    const recovery = await measureRecovery(report, performance.now(), RATE_PER_SECOND)
    await traffic.stop()
    return {
      done:
        `${rounds * DDL.length} changes of ${DDL.length} kinds at ${RATE_PER_SECOND} requests a second; ${describeAnswers(report)}. ` +
        'Not done: `deallocate all` and `discard all`, which an administrator can only run in a session of his own',
      figures: [
        ...truthFigures(report),
        { name: 'requests that failed', measured: countErrors(report), limit: 0 },
        exitFigure([service]),
        timeFigure('90 % of the rate', recovery, RECOVERY_MS_MAX),
      ],
    }
  } finally {
    await service.stop()
  }
}
