// Clients that check every answer: whether it is theirs, whether it is what they wrote, and whether what was acknowledged
// is there in the end.
import type { Account, Answer, Client } from '../support/client.ts'
import { createClient, register } from '../support/client.ts'

export interface TrafficReport {
  /** Answers by status. */
  statuses: Map<number, number>
  /** Answers that belong to somebody else, or that are not what was asked for. */
  wrong: string[]
  /** Answers of 500, with what they said. */
  broken: string[]
  /** Requests that got no answer. */
  unanswered: string[]
}

export interface Traffic {
  report: TrafficReport
  /** Lets the requests in flight end, and looks for every task whose creation was acknowledged. */
  stop(): Promise<TrafficReport>
}

interface Known {
  id: string
  title: string
}

const TASKS_MAX = 20

/** Starts `clients` clients, each with an account of its own. */
export async function startTraffic(url: string, clients: number): Promise<Traffic> {
  const client = createClient(url)
  const accounts: Account[] = []
  // One after the other: on a busy machine that many password hashes at once take longer than a request may.
  while (accounts.length < clients) accounts.push(await register(client))
  const report: TrafficReport = { statuses: new Map(), wrong: [], broken: [], unanswered: [] }
  const state = { running: true }
  const runs = accounts.map(async (account) => {
    const user = new User(client, account, report)
    while (state.running) await user.step()
    return user
  })
  return {
    report,
    stop: async () => {
      state.running = false
      for (const user of await Promise.all(runs)) await user.settle()
      return report
    },
  }
}

class User {
  readonly #client: Client
  readonly #account: Account
  readonly #report: TrafficReport
  readonly #tasks: Known[] = []
  /** Ids of tasks whose last change has no certain outcome. */
  readonly #uncertain = new Set<string>()
  #count = 0

  constructor(client: Client, account: Account, report: TrafficReport) {
    this.#client = client
    this.#account = account
    this.#report = report
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
    for (const task of this.#tasks) await this.#read(task)
  }

  async #create(): Promise<void> {
    const title = `${this.#account.email} ${this.#count} 🦀 "${this.#count}"`
    const answer = await this.#send('POST', '/api/v1/tasks', { title })
    if (answer?.status !== 201) return
    this.#check(answer.body, { title })
    this.#tasks.push({ id: answer.body.id, title })
  }

  async #patch(task: Known): Promise<void> {
    const title = `${this.#account.email} ${this.#count} again`
    const answer = await this.#send('PATCH', `/api/v1/tasks/${task.id}`, { title })
    if (answer?.status === 200) {
      this.#check(answer.body, { id: task.id, title })
      task.title = title
      this.#uncertain.delete(task.id)
    } else if (answer?.status === 404) {
      this.#report.wrong.push(`404 for ${task.id}`)
    } else {
      this.#uncertain.add(task.id)
    }
  }

  async #read(task: Known): Promise<void> {
    const answer = await this.#send('GET', `/api/v1/tasks/${task.id}`)
    if (answer?.status === 404) this.#report.wrong.push(`404 for ${task.id}`)
    if (answer?.status !== 200) return
    const title = this.#uncertain.has(task.id) ? answer.body.title : task.title
    this.#check(answer.body, { id: task.id, title })
  }

  async #list(): Promise<void> {
    const answer = await this.#send('GET', '/api/v1/tasks?limit=100')
    if (answer?.status !== 200) return
    for (const task of answer.body) this.#check(task, {})
    const ids = new Set(answer.body.map(({ id }: Known) => id))
    for (const { id } of this.#tasks) {
      if (!ids.has(id)) this.#report.wrong.push(`${id} is missing in a list`)
    }
  }

  #check(found: Known & { user_id: string }, expected: Partial<Known>): void {
    const owned = { ...expected, user_id: this.#account.id }
    for (const [name, value] of Object.entries(owned)) {
      const got = found?.[name as keyof typeof found]
      if (got !== value) this.#report.wrong.push(`${name} is ${got}, not ${value}`)
    }
    if (!found.title.startsWith(this.#account.email)) this.#report.wrong.push(found.title)
  }

  async #send(method: string, path: string, json?: unknown): Promise<Answer | undefined> {
    const { statuses, broken, unanswered } = this.#report
    try {
      const options = { token: this.#account.token, ...(json === undefined ? {} : { json }) }
      const answer = await this.#client.request(method, path, options)
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      if (answer.status === 500) broken.push(`${method} ${path}: ${JSON.stringify(answer.body)}`)
      return answer
    } catch (error) {
      unanswered.push(String(error))
      return undefined
    }
  }
}
