// A small memory limit, and everything at once that takes memory. Needs the right to make a cgroup.
import { setTimeout as delay } from 'node:timers/promises'
import {
  canLimitMemory,
  createMemoryCgroup,
  type MemoryCgroup,
  type MemoryParts,
} from '../../../bench/servers/memory-cgroup.ts'
import { V8_FLAGS } from '../../../src/server/process/heap.ts'
import { MAIN, type TestService } from '../../support/service.ts'
import type { CrowdReport } from '../crowd.ts'
import { findCapacity, makeUsers, startCrowd, startLoad } from '../load.ts'
import {
  DEFAULTS,
  exitFigure,
  type Figure,
  listFigure,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startListening,
  untilReady,
} from '../scenario.ts'
import type { SteadyLoadReport } from '../steady-load.ts'
import { answersOf, describeTally, othersOf } from '../tally.ts'

const LIMIT_MB = 128
/** The sources, whose types Node strips at the start, take several times the memory of the bundle before any request. */
const SOURCES_LIMIT_MB = 256
const MEBIBYTE = 2 ** 20
const LOAD_SHARE = 0.8
const SECONDS = 900
const SECONDS_MIN = 4
const USERS = 4
const TASKS = 25
const CONNECTIONS = 128
const STEP_MS = 3000
/** When the run is short: few times what the machine of a test does without effort. */
const SHORT_RATE_PER_SECOND = 300
const SAMPLE_MS = 100
const SETTINGS = {
  ...DEFAULTS,
  PASSWORD_QUEUE: '32',
  // As in the image.
  MALLOC_ARENA_MAX: '1',
  // All come from one address.
  MAX_CONNECTIONS_PER_CLIENT: '10000',
}
/** More than wait in the queue. */
const LOGINS = 64
const LOGIN_PAUSE_MS = 5
/** Together more than a listener holds of bodies. */
const BODIES = 600
/** The small ones are many: what is kept of each besides its bytes must not add up. */
const PIECES = [
  { bytes: 4096, pauseMs: 100 },
  { bytes: 128, pauseMs: 10 },
]
const IDLE = 5000
const IDLE_MIN = 200

export const memory: Scenario = {
  name: 'memory',
  promise: 'A listener in 128 MiB is never killed, whatever clients do at once',
  isPossible: canLimitMemory,
  run: runInLittleMemory,
}

async function runInLittleMemory(stage: Stage): Promise<Outcome> {
  const limitMb = stage.entry === MAIN ? SOURCES_LIMIT_MB : LIMIT_MB
  const cgroup = createMemoryCgroup(`taskapi-faults-${process.pid}`, limitMb * MEBIBYTE)
  if (!cgroup) throw new Error('Cannot make a cgroup')
  const flags = [...V8_FLAGS, '--max-old-space-size-percentage=25'].join(' ')
  const preparation = `${cgroup.enter} || exit 1\nnode=$1; shift; set -- "$node" ${flags} "$@"`
  const service = await startListening(stage, SETTINGS, stage.server.url, preparation)
  try {
    await untilReady(service.url)
    return await loadAtOnce(stage, service, cgroup, limitMb)
  } finally {
    await service.stop()
    cgroup.remove()
  }
}

async function loadAtOnce(
  stage: Stage,
  service: TestService,
  cgroup: MemoryCgroup,
  limitMb: number,
): Promise<Outcome> {
  const { url } = service
  const seconds = scaled(stage, SECONDS, SECONDS_MIN)
  const users = await makeUsers(url, USERS, TASKS)
  const [user] = users
  if (!user) throw new Error('There is no user')
  const load = startLoad({
    url,
    users,
    connections: CONNECTIONS,
    ratePerSecond: SHORT_RATE_PER_SECOND,
    seed: stage.seed,
  })
  const capacity = stage.scale === 0 ? undefined : await findCapacity(load, STEP_MS)
  const ratePerSecond = capacity ? Math.round(capacity * LOAD_SHARE) : SHORT_RATE_PER_SECOND
  load.setRate(ratePerSecond)
  const crowd = startCrowd({
    url,
    user,
    idle: scaled({ ...stage, scale: Math.min(stage.scale * 100, 1) }, IDLE, IDLE_MIN),
    logins: LOGINS,
    loginPauseMs: LOGIN_PAUSE_MS,
    bodies: BODIES,
    pieces: PIECES,
  })
  const until = performance.now() + seconds * 1000
  const highest = { anon: 0, file: 0, kernel: 0 }
  for (let notedAt = performance.now(); performance.now() < until; await delay(SAMPLE_MS)) {
    keepHighest(highest, cgroup.parts())
    if (performance.now() < notedAt + 15_000) continue
    notedAt = performance.now()
    const { open } = await crowd.report()
    stage.note(`${open} idle connections, ${describeParts(cgroup.parts())}`)
  }
  const peakBytes = cgroup.peakBytes()
  const seen = { ...(await crowd.stop()), load: await load.stop() }
  const done = [
    `${seconds} s in a cgroup of ${limitMb} MiB at ${ratePerSecond} requests a second${
      capacity ? ` (${LOAD_SHARE} of ${capacity})` : ''
    }`,
    describeTally('requests', seen.load.tally),
    `${seen.load.skipped} not sent for want of a free connection`,
    describeTally('requests of idle connections', seen.idle),
    describeTally('logins', seen.logins),
    describeTally('bodies', seen.bodies),
    `highest: ${describeParts(highest)}, ${toMebibytes(peakBytes)} MiB in all with page cache`,
  ].join('; ')
  return { done, figures: judge(seen, service, cgroup, highest, limitMb) }
}

function judge(
  { load, idle, logins, bodies }: CrowdReport & { load: SteadyLoadReport },
  service: TestService,
  cgroup: MemoryCgroup,
  { anon, kernel }: MemoryParts,
  limitMb: number,
): Figure[] {
  const refused = answersOf(logins, 503, 429)
  return [
    { name: 'processes that were killed for their memory', measured: cgroup.oomKills(), limit: 0 },
    exitFigure([service]),
    {
      name: 'highest anonymous and kernel memory',
      measured: toMebibytes(anon + kernel),
      limit: limitMb,
      unit: 'MB',
    },
    listFigure('mixed requests answered neither 2xx nor 503', othersOf(load.tally, 200, 201, 503)),
    listFigure(
      'requests of idle connections answered neither 200 nor 503',
      othersOf(idle, 200, 503),
    ),
    listFigure('logins answered neither 200, 429 nor 503', othersOf(logins, 200, 429, 503)),
    listFigure('bodies answered neither 201, 429 nor 503', othersOf(bodies, 201, 429, 503)),
    {
      name: 'loads that did not reach their limit',
      measured: Number(refused === 0) + Number(answersOf(bodies, 201) === 0),
      limit: 0,
    },
  ]
}

function keepHighest(highest: MemoryParts, parts: MemoryParts): void {
  for (const name of ['anon', 'file', 'kernel'] as const) {
    highest[name] = Math.max(highest[name], parts[name])
  }
}

function describeParts({ anon, file, kernel }: MemoryParts): string {
  return `${toMebibytes(anon)} MiB anonymous, ${toMebibytes(file)} MiB page cache, ${toMebibytes(kernel)} MiB kernel`
}

function toMebibytes(bytes: number): number {
  return Math.round((bytes / MEBIBYTE) * 10) / 10
}
