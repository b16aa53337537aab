// The disk that holds all of PostgreSQL, and so its WAL, is full: first PostgreSQL refuses what needs room, then it ends.
// Needs the right to mount.
import { setTimeout as delay } from 'node:timers/promises'
import { readAddress } from '../../../src/db/address.ts'
import { openClient } from '../../../src/db/driver/client.ts'
import { type Client, createClient } from '../../support/client.ts'
import type { TestService } from '../../support/service.ts'
import { describeAnswers } from '../ledger.ts'
import {
  exitFigure,
  hangFigure,
  listFigure,
  measureRecovery,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startNode,
  timeFigure,
  truthFigures,
} from '../scenario.ts'
import { type FaultServer, openServer } from '../server.ts'
import { canMount, openSmallDisk, type SmallDisk } from '../small-disk.ts'
import { registerAll, startTraffic, type Traffic } from '../traffic.ts'

/** A new cluster takes 40 MB, and each segment of the WAL 16. */
const DISK_MB = 256
const RATE_PER_SECOND = 150
const ACCOUNTS = 6
const RECOVERY_MS_MAX = 2000
const CALM_MS = 500
const PAIRS = 60
const PAIR_PAUSE_MS = 20
/** A megabyte. */
const EMIT_MESSAGE = `select pg_logical_emit_message(false, 'faults', repeat('x', 1000000), true)`
/** More than there can be in segments that are ready to be used again. */
const MESSAGES_MAX = DISK_MB
const GONE_MS = 1000

export const walDisk: Scenario = {
  name: 'wal-disk',
  promise:
    'A full disk of the WAL refuses writes with 503, serves reads while PostgreSQL runs, and needs no restart of the service',
  isPossible: canMount,
  run: fillDisk,
}

async function fillDisk(stage: Stage): Promise<Outcome> {
  const small = await openSmallDisk(DISK_MB)
  try {
    const server = await openServer(small.folder)
    try {
      const service = await startNode(stage, { LISTENERS: '2' }, server.url)
      try {
        return await measure(stage, service, server, small)
      } finally {
        await service.stop()
      }
    } finally {
      await small.clear()
      await server.close()
    }
  } finally {
    await small.close()
  }
}

interface Seen {
  pairs: number
  refused: number
  reads: string[]
  writes: string[]
  /** How often PostgreSQL ended by itself. */
  ends: number
  /** Rounds in which it did not even lose its sessions. */
  harmless: number
  recoveryMs: number
}

async function measure(
  stage: Stage,
  service: TestService,
  server: FaultServer,
  small: SmallDisk,
): Promise<Outcome> {
  const traffic = await startTraffic(service.url, ACCOUNTS, { ratePerSecond: RATE_PER_SECOND })
  const client = createClient(service.url)
  const [account] = await registerAll(client, 1)
  const token = account?.token ?? ''
  const rounds = scaled(stage, 10, 1)
  const seen: Seen = {
    pairs: 0,
    refused: 0,
    reads: [],
    writes: [],
    ends: 0,
    harmless: 0,
    recoveryMs: 0,
  }
  for (let round = 0; round < rounds; round += 1) {
    await delay(CALM_MS)
    // So that PostgreSQL goes on for a while: what there is of the WAL must take what can still be written.
    await server.query('checkpoint')
    await server.query('select pg_switch_wal()')
    await small.fill()
    await askWhileFull(client, token, seen)
    if (!(await exhaustWal(server))) seen.harmless += 1
    await delay(GONE_MS)
    await small.clear()
    if (!(await server.isRunning())) seen.ends += 1
    await server.start()
    const recovery = await measureRecovery(traffic.report, performance.now(), RATE_PER_SECOND)
    seen.recoveryMs = Math.max(seen.recoveryMs, recovery)
    stage.note(`${round + 1} of ${rounds}, ${seen.refused} refused, ${seen.ends} ends, ${recovery}`)
  }
  await traffic.stop()
  return judge(seen, rounds, traffic, service)
}

/** One after the other, creations that need room and reads. */
async function askWhileFull(client: Client, token: string, seen: Seen): Promise<void> {
  for (let count = 0; count < PAIRS; count += 1) {
    const read = await client.get('/api/v1/tasks', { token })
    if (read.status !== 200) seen.reads.push(`${read.status} ${JSON.stringify(read.body)}`)
    const title = 'x'.repeat(150)
    const description = 'y'.repeat(1500)
    const write = await client.post('/api/v1/tasks', { title, description }, { token })
    if (write.status === 503) seen.refused += 1
    else if (write.status !== 201) seen.writes.push(`${write.status} ${JSON.stringify(write.body)}`)
    seen.pairs += 1
    await delay(PAIR_PAUSE_MS)
  }
}

/**
 * Writes to the WAL and nowhere else until PostgreSQL gives up. With a client for this alone: after an error that ended
 * its connection, `postgres` fails the next query with the same error.
 */
async function exhaustWal({ url }: FaultServer): Promise<boolean> {
  const sql = openClient(readAddress(url), { max: 1, connectTimeoutMs: 5000 })
  try {
    for (let count = 0; count < MESSAGES_MAX; count += 1) await sql.unsafe(EMIT_MESSAGE)
    return false
  } catch {
    return true
  } finally {
    await sql.end({ timeout: 1 })
  }
}

function judge(seen: Seen, rounds: number, { report }: Traffic, service: TestService): Outcome {
  const { pairs, refused, reads, writes, ends, harmless, recoveryMs } = seen
  return {
    done: `${rounds} times the disk of PostgreSQL full at ${RATE_PER_SECOND} requests a second, then its WAL used up; ${refused} of ${pairs} creations refused, PostgreSQL ended ${ends} times and was started again; ${describeAnswers(report)}`,
    figures: [
      ...truthFigures(report),
      hangFigure(report),
      listFigure('reads that were not answered 200 while PostgreSQL ran', reads),
      listFigure('creations that were answered neither 201 nor 503', writes),
      {
        name: 'runs in which the fault did nothing',
        measured: Math.max(harmless, refused === 0 ? 1 : 0),
        limit: 0,
      },
      exitFigure([service]),
      timeFigure('slowest time to 90 % of the rate', recoveryMs, RECOVERY_MS_MAX),
    ],
  }
}
