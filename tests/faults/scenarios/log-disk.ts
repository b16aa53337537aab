// The disk that holds the log is full for some seconds. Needs the right to mount.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { probePort } from '../../../src/server/process/claims.ts'
import { eventually } from '../../support/client.ts'
import { JWT_SECRET, runMain, type TestService } from '../../support/service.ts'
import { type Load, makeUsers, startLoad } from '../load.ts'
import {
  exitFigure,
  type Figure,
  listFigure,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  settingsFor,
  timeFigure,
  untilReady,
} from '../scenario.ts'
import { canMount, openSmallDisk, type SmallDisk } from '../small-disk.ts'
import {
  addTally,
  countAnswers,
  createTally,
  describeTally,
  othersOf,
  type Tally,
} from '../tally.ts'

const HOST = '127.0.0.1'
const DISK_MB = 96
/** More than the service answers: it is kept as busy as 64 connections can. */
const RATE_PER_SECOND = 20_000
const CONNECTIONS = 64
const USERS = 4
const TASKS = 25
const REPORT_MS = 250
const CALM_MS = 300
/** Lines that wait are kept up to 4 MiB: those of so many requests, about 200 bytes each, are more. */
const REQUESTS_WHILE_FULL = 30_000
const FULL_MS_MAX = 60_000
/** The service tries again once a second. */
const RECOVERY_MS_MAX = 2000

export const logDisk: Scenario = {
  name: 'log-disk',
  promise: 'A full disk of the log costs lines of the log, which are counted, and nothing else',
  isPossible: canMount,
  run: fillDisk,
}

async function fillDisk(stage: Stage): Promise<Outcome> {
  const small = await openSmallDisk(DISK_MB)
  const file = join(small.folder, 'service.log')
  try {
    const service = await startLogging(stage, file)
    try {
      await untilReady(service.url)
      const seen = await measure(stage, service, small, file)
      await service.stop()
      return judge(seen, await readFile(file, 'utf8'))
    } finally {
      await service.stop()
    }
  } finally {
    await small.close()
  }
}

/** Where it listens is asked for, because its log does not come here. */
async function startLogging(stage: Stage, file: string): Promise<TestService> {
  const port = await probePort(HOST, 0)
  const settings = {
    ...settingsFor(stage),
    DATABASE_URL: stage.server.url,
    JWT_SECRET,
    SERVER_HOST: HOST,
    SERVER_PORT: String(port),
    LISTENERS: '1',
    LOG_REQUESTS: 'all',
  }
  const running = await runMain(settings, [], stage.entry, `exec >> '${file}'`)
  const stop = () => {
    running.child.kill('SIGTERM')
    return running.exited
  }
  return { ...running, url: `http://${HOST}:${port}`, port, stop }
}

interface Seen {
  rounds: number
  tally: Tally
  /** Lines of requests that were there before those of the tally. */
  linesBefore: number
  whileFull: number
  recoveryMs: number
  exits: Figure
}

async function measure(
  stage: Stage,
  service: TestService,
  small: SmallDisk,
  file: string,
): Promise<Seen> {
  const { url } = service
  const users = await makeUsers(url, USERS, TASKS)
  await delay(CALM_MS)
  const linesBefore = readLog(await readFile(file, 'utf8')).requests
  const options = { url, users, connections: CONNECTIONS, ratePerSecond: 0, seed: stage.seed }
  const load = startLoad(options)
  const rounds = scaled(stage, 10, 1)
  const tally = createTally()
  let whileFull = 0
  let recoveryMs = 0
  for (let round = 0; round < rounds; round += 1) {
    await delay(CALM_MS)
    await small.fill()
    const from = (await stat(file)).size
    load.setRate(RATE_PER_SECOND)
    whileFull += await untilAnswered(load, tally)
    load.setRate(0)
    const clearedAt = performance.now()
    await small.clear()
    const isReported = async () => (await readFile(file)).subarray(from).includes('"dropped"')
    await eventually('the report of the dropped lines', isReported)
    recoveryMs = Math.max(recoveryMs, performance.now() - clearedAt)
    stage.note(`${round + 1} of ${rounds}, ${whileFull} answers, ${Math.round(recoveryMs)} ms`)
  }
  addTally(tally, (await load.stop()).tally)
  return { rounds, tally, linesBefore, whileFull, recoveryMs, exits: exitFigure([service]) }
}

/** Resolves with the number of answers while the disk was full. */
async function untilAnswered(load: Load, tally: Tally): Promise<number> {
  const deadline = performance.now() + FULL_MS_MAX
  for (let answers = 0; ; ) {
    await delay(REPORT_MS)
    const { tally: latest } = await load.report()
    addTally(tally, latest)
    answers += countAnswers(latest)
    if (answers >= REQUESTS_WHILE_FULL) return answers
    if (performance.now() > deadline) throw new Error(`Only ${answers} answers while it was full`)
  }
}

interface Log {
  /** Lines of requests. */
  requests: number
  /** The sum of what the reports say. */
  dropped: number
  broken: string[]
}

function readLog(text: string): Log {
  const log: Log = { requests: 0, dropped: 0, broken: [] }
  for (const line of text.trimEnd().split('\n')) {
    try {
      const { msg, dropped = 0 } = JSON.parse(line) as { msg: string; dropped?: number }
      if (msg === 'Request') log.requests += 1
      log.dropped += dropped
    } catch {
      log.broken.push(line)
    }
  }
  return log
}

function judge(seen: Seen, text: string): Outcome {
  const { rounds, tally, linesBefore, whileFull, recoveryMs, exits } = seen
  const { requests, dropped, broken } = readLog(text)
  const unaccounted = countAnswers(tally) - (requests - linesBefore) - dropped
  return {
    done: `${rounds} times the disk of the log full during ${whileFull} answers in all; ${describeTally('requests', tally)}; ${requests - linesBefore} lines of requests written, ${dropped} lines dropped`,
    figures: [
      listFigure('requests answered neither 2xx nor 503', othersOf(tally, 200, 201, 503)),
      {
        name: 'answers that have no line and are not among those reported as dropped',
        measured: Math.max(0, unaccounted),
        limit: 0,
      },
      listFigure('lines that are not whole', broken),
      exits,
      timeFigure('slowest report after there is room', recoveryMs, RECOVERY_MS_MAX),
    ],
  }
}
