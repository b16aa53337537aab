// Each of the worst clients in turn, beside somebody who behaves, while the service has 64 MiB.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { OpenLoop, type OpenLoopResult } from '../../../bench/load/open-loop.ts'
import { type SeedUser, seededRandom } from '../../../bench/load/scenario.ts'
import { mixed } from '../../../bench/scenarios/mixed.ts'
import { canLimitMemory, createMemoryCgroup } from '../../../bench/servers/memory-cgroup.ts'
import { createClient, register } from '../../support/client.ts'
import { type Abuser, abusers, type Target } from '../abusers.ts'
import {
  exitFigure,
  type Figure,
  type Outcome,
  type Scenario,
  type Stage,
  startNode,
} from '../scenario.ts'

const MEMORY_BYTES = 64 * 1024 * 1024
const RATE_PER_SECOND = 200
const CONNECTIONS = 16
const TASKS = 100
const SECONDS = 60
const SECONDS_MIN = 2
const HEAD_START_MS = 500
const FROM = '127.0.0.66'
const SETTINGS = {
  LISTENERS: '1',
  MAX_CONNECTIONS: '4000',
  REQUEST_TIMEOUT_MS: '10000',
  // As in the image.
  NODE_OPTIONS: '--max-semi-space-size=2 --max-old-space-size-percentage=25',
  MALLOC_ARENA_MAX: '1',
}
const ABUSER = join(import.meta.dirname, '../abuser.ts')

export const abuse: Scenario = {
  name: 'abuse',
  promise: 'The worst clients take the service from nobody',
  isPossible: canLimitMemory,
  run: sufferAll,
}

/** Each client meets a service of its own, so that none suffers from what another has done. */
async function sufferAll(stage: Stage): Promise<Outcome> {
  const seconds = Math.max(SECONDS_MIN, SECONDS * stage.scale)
  const figures: Figure[] = []
  for (const abuser of abusers) figures.push(...(await suffer(stage, abuser, seconds)))
  const done = `${abusers.length} clients, each for ${seconds} s, beside ${RATE_PER_SECOND} requests a second of somebody else, who is called calm without them; one listener in 64 MiB`
  return { done, figures }
}

async function suffer(stage: Stage, abuser: Abuser, seconds: number): Promise<Figure[]> {
  const cgroup = createMemoryCgroup(`taskapi-abuse-${process.pid}`, MEMORY_BYTES)
  if (!cgroup) throw new Error('This user may not limit memory')
  const service = await startNode(stage, SETTINGS, undefined, cgroup.enter)
  try {
    const [user, victim, keeper] = await createUsers(service.url)
    const target = { port: service.port, from: FROM, token: keeper.token, email: victim.email }
    const load = { url: service.url, user, seed: stage.seed, seconds }
    await offer({ ...load, seconds: SECONDS_MIN })
    const calm = await offer(load)
    const beside = await withAbuser(abuser, target, () => offer(load))
    const mb = Math.round(cgroup.peakBytes() / 1e6)
    stage.note(
      `${abuser.name}: p99 ${show(calm)} calm, ${show(beside)} beside it, ${beside.errors} errors, ${mb} MB at most`,
    )
    return [
      figure(abuser, 'requests of others that failed', beside.errors, 0),
      { ...figure(abuser, 'p99 of others', p99(beside), 2 * p99(calm)), unit: 'ms', isTime: true },
      figure(abuser, 'processes killed for their memory', cgroup.oomKills(), 0),
      { ...exitFigure([service]), name: `${abuser.name}: processes that ended` },
    ]
  } finally {
    await service.stop()
    cgroup.remove()
  }
}

function figure({ name, about }: Abuser, what: string, measured: number, limit: number): Figure {
  return { name: `${name} (${about}): ${what}`, measured, limit }
}

function p99({ latency }: OpenLoopResult): number {
  return latency.p99_us / 1000
}

function show(result: OpenLoopResult): string {
  return `${p99(result).toFixed(1)} ms`
}

interface Load {
  url: string
  user: SeedUser
  seed: number
  seconds: number
}

/** What a client who behaves asks for, and how long that takes. */
function offer({ url, user, seed, seconds }: Load): Promise<OpenLoopResult> {
  return OpenLoop.run({
    url,
    connections: CONNECTIONS,
    requestsPerSecond: RATE_PER_SECOND,
    durationSeconds: seconds,
    statuses: mixed.statuses,
    requests: (connection) => mixed.requests([user], seededRandom(seed + connection)),
    signal: new AbortController().signal,
  })
}

/** Who behaves; whose password is guessed; and the abuser's own account, with large tasks. */
async function createUsers(url: string) {
  return [
    await createUser(url, 20),
    await createUser(url, 0),
    await createUser(url, TASKS),
  ] as const
}

async function createUser(url: string, tasks: number): Promise<SeedUser> {
  const client = createClient(url)
  const { email, password, token } = await register(client)
  const taskIds: string[] = []
  for (let count = 0; count < tasks; count += 1) {
    const task = { title: `Task ${count}`, description: 'x'.repeat(2000) }
    const { body } = await client.post('/api/v1/tasks', task, { token })
    taskIds.push(body.id)
  }
  return { email, password, token, taskIds }
}

async function withAbuser<T>(abuser: Abuser, target: Target, use: () => Promise<T>): Promise<T> {
  const child = fork(ABUSER, [abuser.name, JSON.stringify(target)])
  try {
    await delay(HEAD_START_MS)
    return await use()
  } finally {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}
