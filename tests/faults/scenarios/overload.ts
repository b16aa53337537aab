// More requests arrive than can be answered: three times as many at a fixed rate, and from up to 10 000 connections that
// ask again at once.
import { readFileSync } from 'node:fs'
import { median } from '../../../bench/measure/spread.ts'
import { insertTasks, insertUsers, JWT_SECRET, seedUser } from '../../../bench/servers/database.ts'
import { createClient } from '../../support/client.ts'
import {
  BORNE_P99_MS_MAX,
  type Capacity,
  EASE,
  estimateCapacity,
  flood,
  measureCapacity,
  type Target,
} from '../capacity.ts'
import type { FloodReport } from '../flood.ts'
import {
  exitFigure,
  type Figure,
  listFigure,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startNode,
  timeFigure,
} from '../scenario.ts'
import { startWitness, type Witness } from '../witness.ts'

const SECONDS = 60
const SECONDS_MIN = 1
const STEP_SECONDS = 3
const STEP_SECONDS_MIN = 1.5
/** For the tests, which judge no time. */
const STEP_SECONDS_SHORT = 0.5
const AFTERWARDS_SECONDS = 3
const AFTERWARDS_SECONDS_SHORT = 0.5
const ROUNDS = 3
const USERS = 1000
const TASKS_PER_USER = 100
const REFUSAL_MS_MAX = 10
const RECOVERY_MS_MAX = 1000
/** Of the capacity, the share that may be lost. */
const LOSS_PERCENT_MAX = 10
const SLOWER_MAX = 2
/** Descriptors of a process beside its connections under load. */
const OTHER_DESCRIPTORS = 1000
const FINAL_REQUESTS = 50

interface Load {
  name: string
  connections: number
  /** Of the capacity; without it, connections ask again at once. */
  share?: number
}

const LOADS: readonly Load[] = [
  { name: '3 C from 4000 connections', connections: 4000, share: 3 },
  ...[64, 512, 2000, 4000, 10_000].map((connections) => ({
    name: `${connections} connections that ask again at once`,
    connections,
  })),
]
const SHORT_CONNECTIONS: readonly number[] = [4000]

/** One load in one round. */
interface Measurement {
  load: Load
  capacity: Capacity
  report: FloodReport
  healthP99Ms: number
}

export const overload: Scenario = {
  name: 'overload',
  promise:
    'Of more requests than can be answered, as many are answered in time as ever, the rest refused',
  run: overloadService,
}

async function overloadService(stage: Stage): Promise<Outcome> {
  const users = scaled(stage, USERS, 100)
  const tasksPerUser = scaled(stage, TASKS_PER_USER, 20)
  await stage.server.query(insertUsers(1, users))
  await stage.server.query(insertTasks([1, users], [1, tasksPerUser]))
  await stage.server.query('vacuum analyze')
  const service = await startNode(stage, {
    JWT_SECRET,
    MAX_CONNECTIONS: '20000',
    MAX_CONNECTIONS_PER_CLIENT: '20000',
  })
  const { token } = seedUser(1, [])
  const witness = startWitness(service.url, token)
  try {
    const target = { url: service.url, users, tasksPerUser, seed: stage.seed }
    const measurements = await measureAll(stage, target, witness)
    const failed = await askInTurn(service.url, token)
    await witness.stop()
    return {
      done: describeRun(stage, measurements, witness),
      figures: [
        ...behaviour(measurements, witness),
        listFigure('requests that failed once all was over', failed),
        exitFigure([service]),
        easeFigure(measurements),
        ...possibleLoads(stage).flatMap((load) => timesOf(load, measurements)),
      ],
    }
  } finally {
    await witness.stop()
    await service.stop()
  }
}

async function measureAll(stage: Stage, target: Target, witness: Witness): Promise<Measurement[]> {
  const isShort = stage.scale === 0
  const rounds = isShort ? 1 : ROUNDS
  const measurements: Measurement[] = []
  for (let round = 0; round < rounds; round += 1) {
    const capacity = isShort
      ? await estimateCapacity(target, STEP_SECONDS_SHORT)
      : await measureCapacity(target, Math.max(STEP_SECONDS * stage.scale, STEP_SECONDS_MIN))
    stage.note(`round ${round + 1}: ${JSON.stringify(capacity)}`)
    for (const load of possibleLoads(stage)) {
      const seen = witness.healthMs.length
      const report = await flood(target, {
        connections: load.connections,
        seconds: scaled(stage, SECONDS, SECONDS_MIN),
        ...(load.share ? { ratePerSecond: load.share * capacity.ratePerSecond } : {}),
        afterwards: {
          ratePerSecond: EASE * capacity.ratePerSecond,
          seconds: isShort ? AFTERWARDS_SECONDS_SHORT : AFTERWARDS_SECONDS,
          latencyMsMax: BORNE_P99_MS_MAX,
        },
      })
      const healthP99Ms = percentile(witness.healthMs.slice(seen), 0.99)
      measurements.push({ load, capacity, report, healthP99Ms })
      stage.note(`${load.name}: ${JSON.stringify({ ...report, healthP99Ms })}`)
    }
  }
  return measurements
}

/** Loads for which the processes may open enough descriptors. */
function possibleLoads({ scale }: Stage): Load[] {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  const descriptors = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.MAX_VALUE)
  return LOADS.filter(
    ({ connections }) =>
      connections + OTHER_DESCRIPTORS <= descriptors &&
      (scale > 0 || SHORT_CONNECTIONS.includes(connections)),
  )
}

/** One request after the other: what the last flood left behind would show. */
async function askInTurn(url: string, token: string): Promise<string[]> {
  const client = createClient(url)
  const failed: string[] = []
  for (let count = 0; count < FINAL_REQUESTS; count += 1) {
    const { status, body } = await client.get('/api/v1/tasks', { token })
    if (status !== 200) failed.push(`${status} ${JSON.stringify(body)}`)
  }
  return failed
}

/** What must hold however busy the machine is. */
function behaviour(measurements: readonly Measurement[], witness: Witness): Figure[] {
  const reports = measurements.map(({ report }) => report)
  const others = reports.flatMap((report) => Object.entries(report.others).map(String))
  const unanswered = reports.reduce((sum, report) => sum + report.unanswered, 0)
  const without = (name: 'good' | 'refused') =>
    reports.some((report) => report[name].count > 0) ? 0 : 1
  return [
    listFigure('answers other than good ones and 503', others),
    { name: 'requests that hung or were cut off', measured: unanswered, limit: 0 },
    listFigure('lists answered neither 200 nor 503 with `Retry-After`', witness.wrong),
    listFigure('answers of `/health` other than 200', witness.unhealthy),
    { name: 'runs without a good answer', measured: without('good'), limit: 0 },
    { name: 'runs that refused nothing', measured: without('refused'), limit: 0 },
  ]
}

/** Above the limit, the machine did something else meanwhile, and no figure that is a share of C says anything. */
function easeFigure(measurements: readonly Measurement[]): Figure {
  const p99Ms = median(measurements.map(({ capacity }) => capacity.easyP99Ms))
  return timeFigure(`p99 at ${EASE} C, without which C says nothing`, p99Ms, BORNE_P99_MS_MAX)
}

/**
 * The limits are those of the promise where it can be kept. A refusal takes CPU time, too, so that fewer good answers are
 * possible; and connections that ask again at once wait at least as long as it takes to answer all of them once.
 */
function timesOf(load: Load, measurements: readonly Measurement[]): Figure[] {
  const own = measurements.filter((measurement) => measurement.load === load)
  const middle = (read: (measurement: Measurement) => number) => median(own.map(read))
  const floorMs = middle(floorOf)
  const floor =
    floorMs > 0 ? `, beyond the ${Math.round(floorMs)} ms in which all are answered` : ''
  const loss = middle((each) => 100 * (1 - goodPerSecond(each) / roomOf(each)))
  const plainLoss = middle((each) => 100 * (1 - goodPerSecond(each) / each.capacity.ratePerSecond))
  const rate = Math.round(middle(goodPerSecond))
  const figures = [
    {
      name: `${rate} good answers a second, ${Math.round(100 - plainLoss)} % of C; missing of what the refusals leave of C`,
      measured: Math.max(0, loss),
      limit: LOSS_PERCENT_MAX,
      unit: '%' as const,
      isTime: true as const,
    },
    timeFigure(
      `p99 of good answers${floor}`,
      Math.max(0, middle((each) => each.report.good.p99Ms) - floorMs),
      SLOWER_MAX * middle(({ capacity }) => Math.min(capacity.easyP99Ms, BORNE_P99_MS_MAX)),
    ),
    ...(own.some(({ report }) => report.refused.count > 0)
      ? [
          timeFigure(
            `p99 of refusals${floor}`,
            Math.max(0, middle((each) => each.report.refused.p99Ms) - floorMs),
            REFUSAL_MS_MAX,
          ),
        ]
      : []),
    timeFigure(
      'normal again',
      middle(({ report }) => report.normalAfterMs ?? Number.POSITIVE_INFINITY),
      RECOVERY_MS_MAX,
    ),
  ]
  return figures.map((figure) => ({ ...figure, name: `${load.name}: ${figure.name}` }))
}

function goodPerSecond({ report }: Measurement): number {
  return report.good.count / report.seconds
}

/** Good answers a second that are possible beside the refusals. */
function roomOf({ capacity, report }: Measurement): number {
  const refusedPerSecond = report.refused.count / report.seconds
  return capacity.ratePerSecond * Math.max(0, 1 - refusedPerSecond / capacity.refusalsPerSecond)
}

/**
 * How long it takes, in milliseconds, to answer every connection once, when all of them wait: nine tenths of the time goes
 * to good answers, the rest to refusals.
 */
function floorOf({ load, capacity, report }: Measurement): number {
  if (load.share && report.unsent === 0) return 0
  const answers = 0.9 * capacity.ratePerSecond + 0.1 * capacity.refusalsPerSecond
  return (1000 * load.connections) / answers
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0
}

function describeRun(stage: Stage, measurements: readonly Measurement[], witness: Witness): string {
  const capacities = [...new Set(measurements.map(({ capacity }) => capacity))]
  const middle = (read: (capacity: Capacity) => number) => Math.round(median(capacities.map(read)))
  const reports = measurements.map(({ report }) => report)
  const sum = (read: (report: FloodReport) => number) =>
    reports.reduce((total, report) => total + read(report), 0)
  return (
    `Each load ${capacities.length} times for ${scaled(stage, SECONDS, SECONDS_MIN)} s; medians. ` +
    `C = ${middle(({ ratePerSecond }) => ratePerSecond)} requests a second, at ${EASE} C p99 ` +
    `${middle(({ easyP99Ms }) => easyP99Ms)} ms; ` +
    `${middle(({ refusalsPerSecond }) => refusalsPerSecond)} refusals a second are possible. ` +
    `${sum(({ good }) => good.count)} good answers, ${sum(({ refused }) => refused.count)} refusals, ` +
    `${sum(({ unsent }) => unsent)} requests that were due while all connections waited, and were not sent; ` +
    `\`/health\` answered within ${Math.round(percentile(witness.healthMs, 0.99))} ms (p99)`
  )
}
