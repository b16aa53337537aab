// Many clients change the same tasks over two nodes: what they see of each could have happened one after the other.
import { setTimeout as delay } from 'node:timers/promises'
import { pick, seededRandom } from '../../../bench/load/scenario.ts'
import { findViolation } from '../history.ts'
import { type Patching, startPatching } from '../patching.ts'
import {
  type Figure,
  listenersOf,
  listFigure,
  type Outcome,
  type Scenario,
  type Stage,
  scaled,
  startNode,
} from '../scenario.ts'

const CLIENTS = 64
const TASKS = 100
const OPERATIONS = 1_000_000
const OPERATIONS_MIN = 6000
const FAULT_PERIOD_MS = 3000
const CONTENDED_TASKS = 50
const CONTENDED_SECONDS = 300
const CONTENDED_SECONDS_MIN = 4

export const registers: Scenario = {
  name: 'registers',
  promise: 'Each task is one register, over two nodes, while listeners and PostgreSQL are killed',
  run: killAround,
}

export const contention: Scenario = {
  name: 'contention',
  promise: 'Changes of the same tasks by two listeners meet no deadlock',
  run: contend,
}

async function killAround(stage: Stage): Promise<Outcome> {
  const random = seededRandom(stage.seed)
  const start = () => startNode(stage, { LISTENERS: '2' })
  const nodes = await Promise.all([start(), start()])
  try {
    const options = { clients: CLIENTS, tasks: TASKS, readShare: 0.5, random }
    const patching = await startPatching([nodes[0].url, nodes[1].url], options)
    const operations = scaled(stage, OPERATIONS, OPERATIONS_MIN)
    const periodMs = stage.scale === 0 ? FAULT_PERIOD_MS / 4 : FAULT_PERIOD_MS
    const kills = { listeners: 0, servers: 0 }
    while (patching.count < operations || kills.servers === 0) {
      await delay(periodMs)
      const [first, ...others] = listenersOf(pick(nodes, random))
      if (first) process.kill(pick([first, ...others], random), 'SIGKILL')
      kills.listeners += 1
      await delay(periodMs)
      await stage.server.kill()
      await stage.server.start()
      kills.servers += 1
      stage.note(`${patching.count} of ${operations} operations`)
    }
    await patching.stop()
    return {
      done:
        `${patching.count} operations on ${TASKS} tasks by ${CLIENTS} clients over two nodes; ` +
        `${kills.listeners} listeners and PostgreSQL ${kills.servers} times killed; ${statusText(patching)}`,
      figures: patchingFigures(patching),
    }
  } finally {
    for (const node of nodes) await node.stop()
  }
}

async function contend(stage: Stage): Promise<Outcome> {
  const random = seededRandom(stage.seed)
  const service = await startNode(stage, { LISTENERS: '2' })
  try {
    const options = { clients: CLIENTS, tasks: CONTENDED_TASKS, readShare: 0, random }
    const before = await countDeadlocks(stage)
    const patching = await startPatching([service.url], options)
    const seconds = scaled(stage, CONTENDED_SECONDS, CONTENDED_SECONDS_MIN)
    await delay(seconds * 1000)
    await patching.stop()
    const failed = patching.count - (patching.statuses.get(200) ?? 0)
    const deadlocks = (await countDeadlocks(stage)) - before
    return {
      done:
        `${patching.count} changes of ${CONTENDED_TASKS} tasks by ${CLIENTS} clients in ${seconds} s; ` +
        `PostgreSQL counted ${deadlocks} deadlocks; ${statusText(patching)}`,
      figures: [
        ...patchingFigures(patching),
        { name: 'changes that failed', measured: failed, limit: 0 },
      ],
    }
  } finally {
    await service.stop()
  }
}

async function countDeadlocks({ server }: Stage): Promise<number> {
  const [row] = await server.query<{ deadlocks: string }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  return Number(row?.deadlocks)
}

function patchingFigures({ histories, wrong, broken }: Patching): Figure[] {
  const violations = histories.map(findViolation).filter((text) => text !== undefined)
  return [
    listFigure('tasks whose history no order explains', violations),
    listFigure('answers that are wrong or foreign', wrong),
    listFigure('answers of 500', broken),
  ]
}

function statusText({ statuses, unanswered }: Patching): string {
  const counts = [...statuses].map(([status, count]) => `${count} answers of ${status}`)
  return [...counts, `${unanswered.length} cut off`].join(', ')
}
