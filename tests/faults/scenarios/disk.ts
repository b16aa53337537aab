// The disk that holds the tasks is full for some seconds. Needs the right to mount.
import { chown, stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../../support/client.ts'
import { describeAnswers } from '../ledger.ts'
import {
  exitFigure,
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
import { canMount, openSmallDisk, type SmallDisk } from '../small-disk.ts'
import { registerAll, startTraffic } from '../traffic.ts'

const RATE_PER_SECOND = 150
const ACCOUNTS = 6
const DISK_MB = 48
const RECOVERY_MS_MAX = 2000
const INDEXES = `select indexname from pg_indexes where tablename = 'tasks'`

export const disk: Scenario = {
  name: 'disk',
  promise: 'A full disk refuses writes with 503 and serves reads',
  isPossible: canMount,
  run: fillDisk,
}

async function fillDisk(stage: Stage): Promise<Outcome> {
  const small = await openSmallDisk(DISK_MB)
  const service = await startNode(stage, { LISTENERS: '2' })
  try {
    const { uid, gid } = await stat(stage.server.dataFolder)
    await chown(small.folder, uid, gid)
    await stage.server.query(`create tablespace small location '${small.folder}'`)
    await moveTasks(stage, 'small')
    return await measure(stage, service, small)
  } finally {
    await service.stop()
    await moveTasks(stage, 'pg_default')
    await stage.server.query('drop tablespace small')
    await small.close()
  }
}

async function measure(
  stage: Stage,
  service: Awaited<ReturnType<typeof startNode>>,
  small: SmallDisk,
): Promise<Outcome> {
  const traffic = await startTraffic(service.url, ACCOUNTS, { ratePerSecond: RATE_PER_SECOND })
  const { report } = traffic
  const client = createClient(service.url)
  const [account] = await registerAll(client, 1)
  const token = account?.token ?? ''
  const { body } = await client.post('/api/v1/tasks', { title: 'read' }, { token })
  const rounds = scaled(stage, 10, 2)
  const reads: string[] = []
  const writes: string[] = []
  const found = { asked: 0, refused: 0, recoveryMs: 0 }
  for (let round = 0; round < rounds; round += 1) {
    await delay(500)
    await small.fill()
    for (let count = 0; count < 100; count += 1) {
      const read = await client.get(`/api/v1/tasks/${body.id}`, { token })
      if (read.status !== 200) reads.push(`${read.status} ${JSON.stringify(read.body)}`)
      const title = 'x'.repeat(150)
      const description = 'y'.repeat(1500)
      const write = await client.post('/api/v1/tasks', { title, description }, { token })
      found.asked += 1
      if (write.status === 503) found.refused += 1
      else if (write.status !== 201) writes.push(`${write.status} ${JSON.stringify(write.body)}`)
      await delay(20)
    }
    await small.clear()
    const recovery = await measureRecovery(report, performance.now(), RATE_PER_SECOND)
    found.recoveryMs = Math.max(found.recoveryMs, recovery)
    stage.note(`${round + 1} of ${rounds}, ${JSON.stringify(found)}`)
  }
  await traffic.stop()
  return {
    done: `${rounds} times the disk of the tasks full for 2 s at ${RATE_PER_SECOND} requests a second; ${found.refused} of ${found.asked} creations refused; ${describeAnswers(report)}`,
    figures: [
      ...truthFigures(report),
      listFigure('reads that were not answered 200', reads),
      listFigure('creations that were answered neither 201 nor 503', writes),
      {
        name: 'runs in which the fault did nothing',
        measured: found.refused === 0 ? 1 : 0,
        limit: 0,
      },
      exitFigure([service]),
      timeFigure('slowest time to 90 % of the rate', found.recoveryMs, RECOVERY_MS_MAX),
    ],
  }
}

async function moveTasks({ server }: Stage, tablespace: string): Promise<void> {
  await server.query(`alter table tasks set tablespace ${tablespace}`)
  for (const { indexname } of await server.query<{ indexname: string }>(INDEXES)) {
    await server.query(`alter index ${indexname} set tablespace ${tablespace}`)
  }
}
