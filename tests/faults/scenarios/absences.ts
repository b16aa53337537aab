// The database goes away for seconds, again and again, while what it answers last is lost.
import { setTimeout as delay } from 'node:timers/promises'
import { seededRandom } from '../../../bench/load/scenario.ts'
import { hasProxy } from '../../edge/proxy-server.ts'
import type { TestService } from '../../support/service.ts'
import { startDatabaseBalancer } from '../balancer.ts'
import { describeAnswers } from '../ledger.ts'
import { type FaultProxy, openProxy } from '../proxy.ts'
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
import { startTraffic, type Traffic } from '../traffic.ts'

const RATE_PER_SECOND = 150
/** Each way. */
const ROUNDS = 25
const ACCOUNTS = 6
const RECOVERY_MS_MAX = 2000
const ABSENCE_MS_MIN = 1000
const ABSENCE_MS_MAX = 30_000
/** In the short form. */
const ABSENCE_MS_SHORT = 2000
/** How long answers are lost before the connections end. */
const MUTE_MS = 50
const DIALS_PER_SECOND_MAX = 20

/** What is between the service and PostgreSQL, beside the proxy that fails. */
const WAYS = ['directly', 'behind HAProxy'] as const
type Way = (typeof WAYS)[number]

export const absences: Scenario = {
  name: 'absences',
  promise:
    'What no client was told of is at most what was on the wire, and few connections are tried',
  isPossible: () => hasProxy('haproxy'),
  run: goAwayFromBoth,
}

async function goAwayFromBoth(stage: Stage): Promise<Outcome> {
  const outcomes: Outcome[] = []
  for (const way of WAYS) outcomes.push(await goAway(stage, way))
  return {
    done: outcomes.map(({ done }) => done).join('. '),
    figures: outcomes.flatMap(({ figures }) => figures),
  }
}

async function goAway(stage: Stage, way: Way): Promise<Outcome> {
  const random = seededRandom(stage.seed)
  const path = await openPath(stage, way)
  let service: TestService | undefined
  try {
    service = await startNode(stage, { LISTENERS: '2' }, path.url)
    const traffic = await startTraffic(service.url, ACCOUNTS, {
      ratePerSecond: RATE_PER_SECOND,
      answerMsMax: ANSWER_MS_MAX,
    })
    const { report } = traffic
    const rounds = scaled(stage, ROUNDS, 2)
    const found = { onTheWire: 0, dialsMax: 0, recoveryMs: 0, awayMs: 0 }
    for (let round = 0; round < rounds; round += 1) {
      await delay(random() * 1000)
      const { created } = report
      found.onTheWire += report.creating
      path.fault.set('mute')
      await delay(MUTE_MS)
      found.onTheWire += report.created - created
      path.fault.set('reset')
      const longestMs = stage.scale === 0 ? ABSENCE_MS_SHORT : ABSENCE_MS_MAX
      const awayMs = ABSENCE_MS_MIN + random() * (longestMs - ABSENCE_MS_MIN)
      found.awayMs += awayMs
      found.dialsMax = Math.max(found.dialsMax, await countDials(path.entry, awayMs))
      path.fault.set('pass')
      const recovery = await measureRecovery(report, performance.now(), RATE_PER_SECOND)
      found.recoveryMs = Math.max(found.recoveryMs, recovery)
      stage.note(`${way}: ${round + 1} of ${rounds}, ${JSON.stringify(found)}`)
    }
    await traffic.stop()
    const ghosts = await countGhosts(stage, traffic)
    return {
      done: `${way}, ${rounds} absences of ${Math.round(found.awayMs / 1000)} s in all, at ${RATE_PER_SECOND} requests a second; ${describeAnswers(report)}`,
      figures: [
        ...truthFigures(report),
        longestFigure(report),
        hangFigure(report),
        exitFigure([service]),
        {
          name: 'tasks that no client was told of, at most those on the wire',
          measured: ghosts,
          limit: found.onTheWire,
        },
        {
          name: 'most connections tried in a second',
          measured: found.dialsMax,
          limit: DIALS_PER_SECOND_MAX,
          isTime: true as const,
        },
        timeFigure('slowest time to 90 % of the rate', found.recoveryMs, RECOVERY_MS_MAX),
      ].map((figure) => ({ ...figure, name: `${way}: ${figure.name}` })),
    }
  } finally {
    path.fault.set('pass')
    await service?.stop()
    await path.close()
  }
}

interface Path {
  url: string
  /** Where the service's connections arrive. */
  entry: FaultProxy
  /** What goes away. */
  fault: FaultProxy
  close(): Promise<void>
}

async function openPath({ server }: Stage, way: Way): Promise<Path> {
  const fault = await openProxy(server.url)
  if (way === 'directly') return { url: fault.url, entry: fault, fault, close: () => fault.close() }
  const balancer = await startDatabaseBalancer(fault.url)
  const entry = await openProxy(balancer.url)
  const close = async () => {
    await entry.close()
    await balancer.close()
    await fault.close()
  }
  return { url: entry.url, entry, fault, close }
}

/** The most in any second while `ms` pass. */
async function countDials(proxy: FaultProxy, ms: number): Promise<number> {
  let most = 0
  for (let left = ms; left > 0; left -= 1000) {
    const before = proxy.dials
    const startedAt = performance.now()
    await delay(Math.min(1000, left))
    const seconds = Math.max(1, (performance.now() - startedAt) / 1000)
    most = Math.max(most, (proxy.dials - before) / seconds)
  }
  return Math.ceil(most)
}

async function countGhosts({ server }: Stage, traffic: Traffic): Promise<number> {
  const accounts = traffic.accounts.map(({ id }) => `'${id}'`).join()
  const rows = await server.query<{ id: string }>(
    `select id from tasks where user_id in (${accounts})`,
  )
  return rows.filter(({ id }) => !traffic.acknowledged.has(id)).length
}
