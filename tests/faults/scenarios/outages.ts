// The database is unreachable, stands still, or is locked: every request has its answer in time.
import { setTimeout as delay } from 'node:timers/promises'
import { readAddress } from '../../../src/db/address.ts'
import { openClient } from '../../../src/db/driver/client.ts'
import { describeAnswers } from '../ledger.ts'
import { type FaultProxy, type Mode, openProxy } from '../proxy.ts'
import {
  ANSWER_MS_MAX,
  exitFigure,
  type Figure,
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
import type { FaultServer } from '../server.ts'
import { startTraffic } from '../traffic.ts'

const RATE_PER_SECOND = 150
const ACCOUNTS = 6
const RECOVERY_MS_MAX = 2000
const FAULT_MS = 5000
/** Longer than a request may take. */
const FAULT_MS_MIN = 2000

interface Fault {
  name: string
  begin(server: FaultServer, proxy: FaultProxy): Promise<() => Promise<void>>
}

const network = (name: string, mode: Mode): Fault => ({
  name,
  begin: async (_, proxy) => {
    proxy.set(mode)
    return async () => proxy.set('pass')
  },
})

const FAULTS: readonly Fault[] = [
  {
    name: 'every process of PostgreSQL stopped with SIGSTOP',
    begin: async (server) => {
      await server.freeze()
      return () => server.thaw()
    },
  },
  network('answers lost', 'mute'),
  { name: 'both tables locked', begin: lockTables },
  {
    name: 'PostgreSQL shut down',
    begin: async (server) => {
      await server.stop()
      return () => server.start()
    },
  },
  network('bytes lost both ways', 'swallow'),
  network('bytes held up', 'stall'),
  network('connections reset', 'reset'),
]
/** The tests have the others already. */
const SHORT_FAULTS = 3

export const outages: Scenario = {
  name: 'outages',
  promise: 'Every request is answered or closed in time while the database is not there',
  run: breakDatabase,
}

async function breakDatabase(stage: Stage): Promise<Outcome> {
  const { server } = stage
  const proxy = await openProxy(server.url)
  const service = await startNode(stage, { LISTENERS: '2' }, proxy.url)
  try {
    const faultMs = scaled(stage, FAULT_MS, FAULT_MS_MIN)
    const rounds = scaled(stage, 5, 1)
    const faults = stage.scale === 0 ? FAULTS.slice(0, SHORT_FAULTS) : FAULTS
    const figures: Figure[] = []
    const traffic = await startTraffic(service.url, ACCOUNTS, {
      ratePerSecond: RATE_PER_SECOND,
      answerMsMax: ANSWER_MS_MAX,
    })
    const { report } = traffic
    for (const fault of faults) {
      let slowest = 0
      report.longestMs = 0
      report.ownDelayMs = 0
      for (let round = 0; round < rounds; round += 1) {
        await delay(500)
        const heal = await fault.begin(server, proxy)
        await delay(faultMs)
        await heal()
        const healedAt = performance.now()
        slowest = Math.max(slowest, await measureRecovery(report, healedAt, RATE_PER_SECOND))
      }
      stage.note(
        `${fault.name}: longest ${Math.round(report.longestMs)} ms, recovery ${slowest} ms`,
      )
      figures.push(
        longestFigure(report, `${fault.name}: `),
        timeFigure(`${fault.name}: slowest time to 90 % of the rate`, slowest, RECOVERY_MS_MAX),
      )
    }
    await traffic.stop()
    return {
      done: `${faults.length} faults, ${rounds} times each for ${faultMs / 1000} s, at ${RATE_PER_SECOND} requests a second; ${describeAnswers(report)}`,
      figures: [...truthFigures(report), hangFigure(report), exitFigure([service]), ...figures],
    }
  } finally {
    proxy.set('pass')
    await service.stop()
    await proxy.close()
  }
}

async function lockTables(server: FaultServer): Promise<() => Promise<void>> {
  const sql = openClient(readAddress(server.url), { max: 1, connectTimeoutMs: 5000 })
  await sql.unsafe('begin; lock table users, tasks in access exclusive mode')
  return async () => {
    await sql.unsafe('rollback')
    await sql.end({ timeout: 1 })
  }
}
