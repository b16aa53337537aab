// One user of checked traffic: does one thing after the other, and keeps a ledger of what was acknowledged.
import { setTimeout as delay } from 'node:timers/promises'
import type { Account, Answer, Client } from '../support/client.ts'
import type { TrafficReport } from './ledger.ts'

export interface Known {
  id: string
  title: string
  /** Titles that may have been written: nobody was told, and a late write can still come true. */
  possible: Set<string>
}

export interface UserOptions {
  client: Client
  account: Account
  /** Begins the title of every task of this user. */
  name: string
  report: TrafficReport
  answerMsMax: number
  onCreated: (task: Known) => void
}

const TASKS_MAX = 20
const LIST_LIMIT = 100
/** How much longer than it may take a request is waited for, before it counts as one that hangs. */
const HANG_MS = 2000
const SETTLE_TRIES = 100
const SETTLE_PAUSE_MS = 100

export class User {
  readonly #options: UserOptions
  readonly #tasks: Known[] = []
  #count = 0

  constructor(options: UserOptions) {
    this.#options = options
  }

  async step(): Promise<void> {
    this.#count += 1
    const task = this.#tasks[this.#count % Math.max(1, this.#tasks.length)]
    if (!task || (this.#count % 5 === 0 && this.#tasks.length < TASKS_MAX)) await this.#create()
    else if (this.#count % 5 === 1) await this.#patch(task)
    else if (this.#count % 5 === 2) await this.#list()
    else await this.#read(task)
  }

  /** What was acknowledged must be there. */
  async settle(): Promise<void> {
    for (const task of this.#tasks) {
      let tries = 1
      for (; tries < SETTLE_TRIES && !(await this.#read(task)); tries += 1) {
        await delay(SETTLE_PAUSE_MS)
      }
      if (tries === SETTLE_TRIES) this.#options.report.wrong.push(`${task.id} cannot be read`)
    }
  }

  async #create(): Promise<void> {
    const { name, report, onCreated } = this.#options
    const title = `${name} ${this.#count} 🦀 "${this.#count}"`
    report.creating += 1
    report.created += 1
    const answer = await this.#send('POST', '/api/v1/tasks', { title })
    report.creating -= 1
    if (answer?.status !== 201) return
    this.#check(answer.body, { title })
    const task = { id: answer.body.id, title, possible: new Set<string>() }
    this.#tasks.push(task)
    onCreated(task)
  }

  async #patch(task: Known): Promise<void> {
    const title = `${this.#options.name} ${this.#count} again`
    const answer = await this.#send('PATCH', `/api/v1/tasks/${task.id}`, { title })
    if (answer?.status === 200) {
      this.#check(answer.body, { id: task.id, title })
      task.title = title
    } else if (answer?.status === 404) {
      this.#options.report.wrong.push(`404 for ${task.id}`)
    } else {
      task.possible.add(title)
    }
  }

  /** True when it was found, or is known to be lost. */
  async #read(task: Known): Promise<boolean> {
    const answer = await this.#send('GET', `/api/v1/tasks/${task.id}`)
    if (answer?.status === 404) this.#options.report.wrong.push(`404 for ${task.id}`)
    if (answer?.status !== 200) return answer?.status === 404
    const title = task.possible.has(answer.body.title) ? answer.body.title : task.title
    this.#check(answer.body, { id: task.id, title })
    return true
  }

  async #list(): Promise<void> {
    const answer = await this.#send('GET', `/api/v1/tasks?limit=${LIST_LIMIT}`)
    if (answer?.status !== 200) return
    for (const task of answer.body) this.#check(task, {})
    // Users who share an account can have more tasks together than a list holds.
    if (answer.body.length >= LIST_LIMIT) return
    const ids = new Set(answer.body.map(({ id }: Known) => id))
    for (const { id } of this.#tasks) {
      if (!ids.has(id)) this.#options.report.wrong.push(`${id} is missing in a list`)
    }
  }

  #check(
    found: { id: string; title: string; user_id: string },
    expected: { id?: string; title?: string },
  ): void {
    const { account, report } = this.#options
    const owned = { ...expected, user_id: account.id }
    for (const [name, value] of Object.entries(owned)) {
      const got = found?.[name as keyof typeof found]
      if (got !== value) report.wrong.push(`${name} is ${got}, not ${value}`)
    }
    if (!found.title.startsWith(account.email)) report.wrong.push(found.title)
  }

  async #send(method: string, path: string, json?: unknown): Promise<Answer | undefined> {
    const { client, account, report, answerMsMax } = this.#options
    const startedAt = performance.now()
    report.started += 1
    report.inFlight += 1
    try {
      const answer = await client.request(method, path, {
        token: account.token,
        ...(json === undefined ? {} : { json }),
        ...(Number.isFinite(answerMsMax)
          ? { signal: AbortSignal.timeout(Math.ceil(answerMsMax + HANG_MS)) }
          : {}),
      })
      report.statuses.set(answer.status, (report.statuses.get(answer.status) ?? 0) + 1)
      if (answer.status < 300) report.goodAt.push(performance.now())
      else countCode(report, String(answer.body?.code ?? answer.status))
      if (answer.status === 500) {
        report.broken.push(`${method} ${path}: ${JSON.stringify(answer.body)}`)
      }
      return answer
    } catch (error) {
      if (isRefused(error)) report.refused += 1
      else report.unanswered.push(`${method} ${path}: ${describe(error)}`)
      return undefined
    } finally {
      report.inFlight -= 1
      const tookMs = performance.now() - startedAt
      report.longestMs = Math.max(report.longestMs, tookMs)
      if (tookMs > answerMsMax) report.late.push(`${method} ${path}: ${Math.round(tookMs)} ms`)
    }
  }
}

function countCode({ codes }: TrafficReport, code: string): void {
  codes.set(code, (codes.get(code) ?? 0) + 1)
}

function isRefused(error: unknown): boolean {
  return codeOf(error) === 'ECONNREFUSED'
}

function describe(error: unknown): string {
  return `${String(error)} ${codeOf(error) ?? ''}`
}

function codeOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  return (cause as NodeJS.ErrnoException | undefined)?.code
}
