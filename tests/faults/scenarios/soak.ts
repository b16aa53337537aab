// Twenty minutes of the same traffic, after fifteen to warm up: whether memory or descriptors grow.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { V8_FLAGS } from '../../../src/server/process/heap.ts'
import type { TestService } from '../../support/service.ts'
import { makeUsers, startLoad } from '../load.ts'
import {
  DEFAULTS,
  exitFigure,
  listenersOf,
  listFigure,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startListening,
  untilReady,
} from '../scenario.ts'
import { blockMeans, medianOf, type Slope, slopeOf, splitInto } from '../slope.ts'
import type { SteadyLoadReport } from '../steady-load.ts'
import { describeTally, othersOf } from '../tally.ts'

const SECONDS = 2100
const SECONDS_MIN = 30
/** Enough for many collections of the whole heap: between two of them memory rises, and is no leak. */
const RATE_PER_SECOND = 2000
const CONNECTIONS = 64
/** So that what is kept of a connection that has ended would be seen. */
const REQUESTS_PER_CONNECTION = 2000
const USERS = 8
const TASKS = 25
const SAMPLE_MS = 1000
const NOTE_SAMPLES = 60
/**
 * While code is compiled and the heap finds its size: measured, 8.6 MB were alive after each full collection from minute 2 to
 * 24, resident memory rose from 88 to 93.9 MB until minute 12, and then by 5 KB a minute.
 */
const WARM_UP_SHARE = 3 / 7
const BLOCKS = 40
const SETTINGS = {
  ...DEFAULTS,
}

interface Reading {
  minutes: number
  /** In KB. */
  resident: number
  /** Of it, what is of no file, in KB: the rest are mostly pages of Node's program, which the kernel may take back. */
  anonymous: number
  descriptors: number
}

export const soak: Scenario = {
  name: 'soak',
  promise: 'Under the same traffic for long, neither memory nor descriptors grow',
  run: soakService,
}

async function soakService(stage: Stage): Promise<Outcome> {
  const preparation = `node=$1; shift; set -- "$node" ${V8_FLAGS.join(' ')} "$@"`
  const service = await startListening(stage, SETTINGS, stage.server.url, preparation)
  try {
    await untilReady(service.url)
    const { url } = service
    const load = startLoad({
      url,
      users: await makeUsers(url, USERS, TASKS),
      connections: CONNECTIONS,
      ratePerSecond: RATE_PER_SECOND,
      seed: stage.seed,
      requestsPerConnection: REQUESTS_PER_CONNECTION,
    })
    const readings = await watch(stage, service)
    return judge(service, readings, await load.stop())
  } finally {
    await service.stop()
  }
}

async function watch(stage: Stage, service: TestService): Promise<Reading[]> {
  const count = Math.round((scaled(stage, SECONDS, SECONDS_MIN) * 1000) / SAMPLE_MS)
  const readings: Reading[] = []
  const startedAt = performance.now()
  while (readings.length < count) {
    await delay(SAMPLE_MS)
    const minutes = (performance.now() - startedAt) / 60_000
    const reading = { minutes, ...read(service) }
    readings.push(reading)
    if (readings.length % NOTE_SAMPLES > 0) continue
    const { resident, anonymous, descriptors } = reading
    stage.note(
      `${Math.round(minutes)} minutes: ${resident} KB, ${anonymous} KB anonymous, ${descriptors} descriptors`,
    )
  }
  return readings
}

function read(service: TestService): Omit<Reading, 'minutes'> {
  const sum = { resident: 0, anonymous: 0, descriptors: 0 }
  for (const pid of listenersOf(service)) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    sum.resident += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1])
    sum.anonymous += Number(/RssAnon:\s+(\d+)/.exec(status)?.[1])
    sum.descriptors += readdirSync(`/proc/${pid}/fd`).length
  }
  return sum
}

function judge(
  service: TestService,
  readings: readonly Reading[],
  { tally, skipped }: SteadyLoadReport,
): Outcome {
  const settled = readings.slice(Math.floor(readings.length * WARM_UP_SHARE))
  const growth = (part: 'resident' | 'anonymous') => {
    const samples = settled.map((reading) => ({ at: reading.minutes, value: reading[part] }))
    return slopeOf(blockMeans(samples, BLOCKS))
  }
  const resident = growth('resident')
  const descriptors = splitInto(settled, BLOCKS).map((block) =>
    medianOf(block.map((reading) => reading.descriptors)),
  )
  const first = descriptors[0] ?? Number.NaN
  const last = descriptors.at(-1) ?? Number.NaN
  const done = [
    `${Math.round((readings.at(-1)?.minutes ?? 0) * 60)} s at ${RATE_PER_SECOND} requests a second, ${REQUESTS_PER_CONNECTION} on each connection`,
    describeTally('requests', tally),
    `${skipped} not sent for want of a free connection`,
    `after the warm-up, resident memory grew by ${describeSlope(resident)}, what is anonymous of it by ${describeSlope(growth('anonymous'))}`,
    `${first} descriptors, in the end ${last}`,
  ].join('; ')
  return {
    done,
    figures: [
      {
        name: 'growth of memory, at least, with 95 % confidence',
        measured: resident.lower,
        limit: 0,
        unit: 'KB/min',
      },
      { name: 'descriptors more or less in the end', measured: Math.abs(last - first), limit: 0 },
      listFigure('requests answered neither 2xx nor 503', othersOf(tally, 200, 201, 503)),
      exitFigure([service]),
    ],
  }
}

function describeSlope({ median, lower, upper }: Slope): string {
  const [middle, from, to] = [median, lower, upper].map((value) => value.toFixed(1))
  return `${middle} KB/min (${from} to ${to})`
}
