// Many clients who change and read the same few tasks, and keep the history of each.
import { setTimeout as delay } from 'node:timers/promises'
import { pick } from '../../bench/load/scenario.ts'
import { type Client, createClient } from '../support/client.ts'
import type { Operation } from './history.ts'
import { registerAll } from './traffic.ts'

export interface PatchingOptions {
  clients: number
  tasks: number
  /** The share of reads, from 0 to 1. */
  readShare: number
  random: () => number
}

export interface Patching {
  /** Operations so far. */
  count: number
  statuses: Map<number, number>
  wrong: string[]
  broken: string[]
  /** Requests that were cut off. */
  unanswered: string[]
  /** Of every task. */
  histories: Operation[][]
  stop(): Promise<void>
}

interface Shared {
  path: string
  history: Operation[]
}

const REFUSED_PAUSE_MS = 20

export async function startPatching(
  urls: readonly [string, ...string[]],
  options: PatchingOptions,
): Promise<Patching> {
  const { clients, tasks, readShare, random } = options
  const [firstUrl, ...otherUrls] = urls
  const first = createClient(firstUrl)
  const nodes: [Client, ...Client[]] = [first, ...otherUrls.map((url) => createClient(url))]
  const [account] = await registerAll(first, 1)
  if (!account) throw new Error('Patching needs an account')
  const { token, id: userId } = account
  const shared = await Promise.all(Array.from({ length: tasks }, (_, number) => create(number)))
  const [firstTask, ...otherTasks] = shared
  if (!firstTask) throw new Error('Patching needs a task')
  const state = { running: true }
  const patching: Patching = {
    count: 0,
    statuses: new Map(),
    wrong: [],
    broken: [],
    unanswered: [],
    histories: shared.map(({ history }) => history),
    stop: async () => {
      state.running = false
      await done
    },
  }

  async function create(number: number): Promise<Shared> {
    const title = `first of ${number}`
    const startedAt = performance.now()
    const { status, body } = await first.post('/api/v1/tasks', { title }, { token })
    if (status !== 201) throw new Error(`Cannot create a task: ${status}`)
    const endedAt = performance.now()
    const history: Operation[] = [{ kind: 'write', value: title, startedAt, endedAt }]
    return { path: `/api/v1/tasks/${body.id}`, history }
  }

  async function step(title: string): Promise<void> {
    const { path, history } = pick([firstTask as Shared, ...otherTasks], random)
    const isRead = random() < readShare
    const node = pick(nodes, random)
    const startedAt = performance.now()
    const write: Operation = { kind: 'write', value: title, startedAt, endedAt: Infinity }
    try {
      const answer = isRead
        ? await node.get(path, { token })
        : await node.patch(path, { title }, { token })
      const { status, body } = answer
      const endedAt = performance.now()
      patching.statuses.set(status, (patching.statuses.get(status) ?? 0) + 1)
      if (status === 200 && body.user_id !== userId) patching.wrong.push(`${path} is foreign`)
      if (status === 500) patching.broken.push(JSON.stringify(body))
      if (status !== 200 && status !== 503) patching.wrong.push(`${status} for ${path}`)
      if (isRead) {
        if (status === 200) history.push({ kind: 'read', value: body.title, startedAt, endedAt })
      } else {
        if (status === 200 && body.title !== title) patching.wrong.push(`${path} is ${body.title}`)
        history.push(status === 200 ? { ...write, endedAt } : write)
      }
    } catch (error) {
      const code = error instanceof Error && (error.cause as NodeJS.ErrnoException)?.code
      // Nothing was sent over a connection that was refused.
      if (code === 'ECONNREFUSED') {
        await delay(REFUSED_PAUSE_MS)
        return
      }
      patching.unanswered.push(`${path}: ${String(error)} ${code}`)
      if (!isRead) history.push(write)
    }
  }

  const done = Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let number = 0; state.running; number += 1) {
        await step(`client ${client}, ${number}`)
        patching.count += 1
      }
    }),
  )
  return patching
}
