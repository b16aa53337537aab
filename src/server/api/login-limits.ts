// Runs in listeners. How many logins may fail, for an account and from a client, before the next password is not even
// looked at. Only failures count, so that whoever knows the password is never slowed down by their own logins.
//
// NIST SP 800-63B asks for at most 100 failures in a row for one account, and allows clients that have logged in before
// to be treated apart. They are: a stranger who guesses uses up the budget of strangers, and never that of the owner.
import { createHmac } from 'node:crypto'
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js'
import type RateLimiterRes from 'rate-limiter-flexible/lib/RateLimiterRes.js'
import {
  type Failures,
  findFamiliarClient,
  findLoginFailures,
  insertFamiliarClient,
} from '../../db/logins.ts'
import type { Call, Queue } from '../../db/queue.ts'
import { Problem } from '../http/problem.ts'
import { askPatiently, FailureStore } from './failure-store.ts'

/** Failures that are allowed in a window, which begins with the first of them. */
const BUDGETS = {
  /** Of one client for one account. */
  login: { points: 10, duration: 15 * 60 },
  /** For one account, of all clients together that it has never logged in from. */
  'login-account': { points: 50, duration: 60 * 60 },
  /** Of one client, for all accounts together that have never logged in from it. */
  'login-client': { points: 100, duration: 60 * 60 },
} as const

type BudgetName = keyof typeof BUDGETS

const HASH = 'sha256'
/** An account that does not exist is looked up like one that does. */
const NOBODY = '00000000-0000-7000-8000-000000000000'

export interface LoginLimits {
  /** Takes note of a login that is about to be tried. Throws when this client is known to have failed too often. */
  begin(client: string, email: string): Attempt
  /** From now on, strangers do not keep the account from logging in from this client. Never rejects. */
  remember(userId: string, client: string): Promise<void>
}

/** One login, from before its password is looked at until its outcome is known. */
export interface Attempt {
  /** Rejects with `too_many_requests` when the budget is used up. Never waits long for PostgreSQL. */
  admit(userId: string | undefined): Promise<void>
  /** Counts a failure. Rejects when other logins have used up the budget meanwhile. */
  fail(): Promise<void>
  /** Rejects likewise, so that no password is found by many guesses at once; else forgets the failures of the pair. */
  succeed(userId: string): Promise<void>
}

export interface LoginLimitsOptions {
  queue: Queue
  /** The keys of the counts are made with it, so that nobody can tell from them what was typed as an address. */
  secret: string
  enabled: boolean
  /** Called when PostgreSQL does not count, so that each listener counts by itself. */
  onFailure: (error: unknown) => void
}

/** A budget, and under which key an attempt spends it. */
interface Purse {
  limiter: FailureStore
  key: string
}

export function createLoginLimits(options: LoginLimitsOptions): LoginLimits {
  if (!options.enabled) return UNLIMITED
  const limiters = mapBudgets((name) => createLimiter(name, options))
  const memory = createMemory(options)
  const hashKey = createHmac(HASH, options.secret).update('login limits').digest()
  const hash = (...parts: string[]) =>
    createHmac(HASH, hashKey).update(JSON.stringify(parts)).digest('base64url')
  return {
    begin: (client, email) => {
      const account = foldCase(email)
      const own = { limiter: limiters.login, key: hash(account, client) }
      const ofAccount = { limiter: limiters['login-account'], key: hash(account) }
      const ofClient = { limiter: limiters['login-client'], key: hash('', client) }
      // Clients whose address is not known have nothing in common.
      const shared = client === '' ? [ofAccount] : [ofAccount, ofClient]
      refuseKnown([own])
      return new LimitedAttempt({ client, own, shared, memory })
    },
    remember: (userId, client) => memory.remember(userId, client),
  }
}

/** What PostgreSQL remembers. A login does not fail because it cannot be asked. */
interface Memory {
  /** The failures by their full keys: none where it does not answer. */
  findFailures(purses: readonly Purse[]): Promise<ReadonlyMap<string, Failures>>
  /** Whether the account has logged in from this client. */
  findClient(userId: string, client: string): Promise<'recent' | 'known' | undefined>
  remember(userId: string, client: string): Promise<void>
}

function createMemory({ queue, onFailure }: LoginLimitsOptions): Memory {
  async function ask<Result>(
    question: (call: Call) => Promise<Result>,
    otherwise: Result,
  ): Promise<Result> {
    try {
      return await askPatiently(question)
    } catch (error) {
      onFailure(error)
      return otherwise
    }
  }

  return {
    findFailures: (purses) => {
      const [own = '', account = '', client = null] = purses.map(fullKeyOf)
      return ask((call) => findLoginFailures(queue, call, { own, account, client }), new Map())
    },
    findClient: (userId, client) =>
      ask((call) => findFamiliarClient(queue, call, { userId, client }), undefined),
    remember: async (userId, client) => {
      if (client === '') return
      await ask((call) => insertFamiliarClient(queue, call, { userId, client }), undefined)
    },
  }
}

interface AttemptParts {
  client: string
  /** Of this client for this account. */
  own: Purse
  /** With other clients or for other accounts, unless this client is familiar to the account. */
  shared: readonly Purse[]
  memory: Memory
}

class LimitedAttempt implements Attempt {
  readonly #parts: AttemptParts
  /** What a failure is counted against. */
  #purses: readonly Purse[]
  #hasFailed = false
  #familiarity: 'recent' | 'known' | undefined

  constructor(parts: AttemptParts) {
    this.#parts = parts
    this.#purses = [parts.own, ...parts.shared]
  }

  async admit(userId: string | undefined): Promise<void> {
    const { client, own, memory } = this.#parts
    const purses = this.#purses
    const [familiarity, rows] = await Promise.all([
      memory.findClient(userId ?? NOBODY, client),
      memory.findFailures(purses),
    ])
    const states = await Promise.all(
      purses.map((purse) => purse.limiter.stateOf(purse.key, rows.get(fullKeyOf(purse)))),
    )
    this.#hasFailed = states[0] !== null
    this.#familiarity = familiarity
    if (familiarity !== undefined) this.#purses = [own]
    refuse(
      this.#purses.flatMap(({ limiter }, index) => {
        const state = states[index]
        return state && state.remainingPoints <= 0 ? [{ limiter, ms: state.msBeforeNext }] : []
      }),
    )
  }

  async fail(): Promise<void> {
    const states = await Promise.all(this.#purses.map(spend))
    refuse(states.flatMap((state) => state ?? []))
  }

  async succeed(userId: string): Promise<void> {
    const { client, own, memory } = this.#parts
    refuseKnown(this.#purses)
    await Promise.all([
      this.#hasFailed ? own.limiter.delete(own.key) : undefined,
      this.#familiarity === 'recent' ? undefined : memory.remember(userId, client),
    ])
  }
}

/** For operators who limit logins elsewhere. */
const UNLIMITED: LoginLimits = {
  begin: () => ({
    admit: () => Promise.resolve(),
    fail: () => Promise.resolve(),
    succeed: () => Promise.resolve(),
  }),
  remember: () => Promise.resolve(),
}

function mapBudgets<Value>(make: (name: BudgetName) => Value): Record<BudgetName, Value> {
  const names = Object.keys(BUDGETS) as BudgetName[]
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<BudgetName, Value>
}

function createLimiter(name: BudgetName, { queue, onFailure }: LoginLimitsOptions): FailureStore {
  const limits = { keyPrefix: name, ...BUDGETS[name] }
  return new FailureStore({
    ...limits,
    queue,
    onFailure,
    // A flood against a key whose budget is used up does not reach PostgreSQL.
    inMemoryBlockOnConsumed: limits.points,
    insuranceLimiter: new RateLimiterMemory(limits),
  })
}

function fullKeyOf({ limiter, key }: Purse): string {
  return limiter.getKey(key)
}

/** Takes a point. Resolves with how long there is none, where there was none left to take. */
async function spend({ limiter, key }: Purse): Promise<Empty | undefined> {
  try {
    await limiter.consume(key)
    return undefined
  } catch (state) {
    // With an insurance, the package rejects with nothing else.
    return { limiter, ms: (state as RateLimiterRes).msBeforeNext }
  }
}

/** A budget that is used up, and for how long, in milliseconds. */
interface Empty {
  limiter: FailureStore
  ms: number
}

/** Throws when this process itself knows a budget to be used up. */
function refuseKnown(purses: readonly Purse[]): void {
  refuse(
    purses.flatMap((purse) => {
      const ms = purse.limiter.getInMemoryBlockMsBeforeExpire(fullKeyOf(purse))
      return ms > 0 ? [{ limiter: purse.limiter, ms }] : []
    }),
  )
}

/** Throws what says how long the longest of them lasts: the IETF's draft of RateLimit header fields has the form. */
function refuse(empty: readonly Empty[]): void {
  const [longest] = [...empty].sort((one, other) => other.ms - one.ms)
  if (!longest) return
  const { keyPrefix: name, points, duration } = longest.limiter
  const seconds = Math.max(1, Math.ceil(longest.ms / 1000))
  throw new Problem('too_many_requests', 'Too many failed logins, try again later', {
    headers: {
      'retry-after': String(seconds),
      ratelimit: `"${name}";r=0;t=${seconds}`,
      'ratelimit-policy': `"${name}";q=${points};w=${duration}`,
    },
  })
}

/** As PostgreSQL compares addresses: without regard to the case of A to Z. */
function foldCase(email: string): string {
  return email.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
}
