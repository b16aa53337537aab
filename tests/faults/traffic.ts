// Clients that check every answer: whether it is theirs, whether it is what they wrote, whether it came in time, and
// whether what was acknowledged is there in the end.
import { setTimeout as delay } from 'node:timers/promises'
import type { Account, Client } from '../support/client.ts'
import { createClient, register } from '../support/client.ts'
import { createReport, type TrafficReport } from './ledger.ts'
import { type Known, User } from './user.ts'

export interface Traffic {
  report: TrafficReport
  accounts: readonly Account[]
  /** Ids of all tasks whose creation was acknowledged. */
  acknowledged: ReadonlySet<string>
  /** Lets the requests in flight end, and looks for every task whose creation was acknowledged. */
  stop(): Promise<TrafficReport>
}

export interface TrafficOptions {
  /** Requests are sent at this rate, however many are unanswered; without it, each client waits for its answer. */
  ratePerSecond?: number
  /** A request that takes longer than this is late. */
  answerMsMax?: number
}

const USERS_MAX = 4000
const TICK_MS = 5
const SETTLED_AT_ONCE = 8
const REGISTER_TRIES_MAX = 100
const REGISTER_PAUSE_MS = 100

/** Starts traffic from `clients` accounts. With several URLs, the users take turns among them. */
export async function startTraffic(
  urls: string | readonly string[],
  clients: number,
  options: TrafficOptions = {},
): Promise<Traffic> {
  const targets = [urls].flat().map((url) => createClient(url))
  const [first] = targets
  if (!first) throw new Error('Traffic needs a URL')
  const accounts = await registerAll(first, clients)
  const traffic = new OfferedTraffic(targets, accounts, options)
  const done = options.ratePerSecond
    ? traffic.sendAtRate(options.ratePerSecond)
    : traffic.sendInTurn(clients)
  return {
    report: traffic.report,
    accounts,
    acknowledged: traffic.acknowledged,
    stop: async () => {
      traffic.running = false
      await done
      await traffic.settle()
      return traffic.report
    },
  }
}

/** One after the other: a password takes long to hash, and a busy machine refuses what it could not hash in time. */
export async function registerAll(client: Client, count: number): Promise<Account[]> {
  const accounts: Account[] = []
  for (let tries = 1; accounts.length < count; tries += 1) {
    try {
      accounts.push(await register(client))
    } catch (error) {
      if (tries >= REGISTER_TRIES_MAX) throw error
      await delay(REGISTER_PAUSE_MS)
    }
  }
  return accounts
}

class OfferedTraffic {
  running = true
  readonly acknowledged = new Set<string>()
  readonly report = createReport()
  readonly #targets: readonly Client[]
  readonly #accounts: readonly Account[]
  readonly #answerMsMax: number
  readonly #users: User[] = []

  constructor(
    targets: readonly Client[],
    accounts: readonly Account[],
    { answerMsMax = Number.POSITIVE_INFINITY }: TrafficOptions,
  ) {
    this.#targets = targets
    this.#accounts = accounts
    this.#answerMsMax = answerMsMax
  }

  async sendInTurn(clients: number): Promise<void> {
    const users = Array.from({ length: clients }, () => this.#addUser())
    await Promise.all(
      users.map(async (user) => {
        while (this.running) await user.step()
      }),
    )
  }

  /** Each request that is due is sent by a user who waits for nothing, so that what each knows stays in order. */
  async sendAtRate(ratePerSecond: number): Promise<void> {
    const idle: User[] = []
    const busy = new Set<Promise<void>>()
    const startedAt = performance.now()
    let dueCount = 0
    let tickedAt = startedAt
    while (this.running) {
      const now = performance.now()
      this.report.ownDelayMs = Math.max(this.report.ownDelayMs, now - tickedAt - TICK_MS)
      tickedAt = now
      for (; dueCount < ((now - startedAt) / 1000) * ratePerSecond; dueCount += 1) {
        const user = idle.pop() ?? (this.#users.length < USERS_MAX ? this.#addUser() : undefined)
        if (!user) {
          this.report.skipped += 1
          continue
        }
        const step = user.step().then(() => {
          idle.push(user)
          busy.delete(step)
        })
        busy.add(step)
      }
      await delay(TICK_MS)
    }
    await Promise.all(busy)
  }

  /** What was acknowledged must be there. */
  async settle(): Promise<void> {
    const users = [...this.#users]
    await Promise.all(
      Array.from({ length: SETTLED_AT_ONCE }, async () => {
        for (let user = users.pop(); user; user = users.pop()) await user.settle()
      }),
    )
  }

  #addUser(): User {
    const number = this.#users.length
    const account = this.#accounts[number % this.#accounts.length]
    const client = this.#targets[number % this.#targets.length]
    if (!account || !client) throw new Error('Traffic needs an account')
    const user = new User({
      client,
      account,
      name: `${account.email} ${number}`,
      report: this.report,
      answerMsMax: this.#answerMsMax,
      onCreated: ({ id }: Known) => this.acknowledged.add(id),
    })
    this.#users.push(user)
    return user
  }
}
