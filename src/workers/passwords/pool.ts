// Runs in listeners. Hands password hashing to threads, so that the event loop never waits for Argon2.
import { randomBytes } from 'node:crypto'
import { extname } from 'node:path'
import type { Piscina } from 'piscina'
import { Histogram, SECONDS } from '../../stats/histogram.ts'
import type { PasswordTask } from '../messages.ts'
import { PASSWORD_COSTS } from './costs.ts'
import { type Member, Turns } from './turns.ts'

/** Costs of new hashes, as they are written in a PHC string. */
const CURRENT_COSTS = `m=${PASSWORD_COSTS.memoryCost},t=${PASSWORD_COSTS.timeCost},p=${PASSWORD_COSTS.parallelism}`
/** Highest costs accepted from a stored hash, because they decide how much work a verification takes. */
const MEMORY_KIB_MAX = 65_536
const PASSES_MAX = 10
const LANES_MAX = 4
const IDLE_TIMEOUT_MS = 30_000
/** Beside this file, with the same suffix: a source, or a file of the bundle. */
const THREAD_FILE = new URL(`./thread${extname(import.meta.url)}`, import.meta.url).href
const PHC_STRING = /^\$argon2id\$v=19\$(m=(\d+),t=(\d+),p=(\d+))\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/

/** Weight of the latest password in the moving average of what one takes. */
const AVERAGE_WEIGHT = 0.2

/** Thrown when no more passwords may wait, or when this one's turn would come too late. */
export class PasswordPoolFullError extends Error {
  override readonly name = 'PasswordPoolFullError'
}

/** Thrown when no more passwords may wait, and no client has more of them waiting than this one's. */
export class PasswordShareError extends Error {
  override readonly name = 'PasswordShareError'
}

/** Thrown when the turn of a password comes and nobody waits for it any more. */
export class CallOverError extends Error {
  override readonly name = 'CallOverError'
}

/** Who waits for a hash, and for how long. */
export interface Call {
  /** Whose turn it uses. */
  readonly client: string
  /** By `performance.now()`. */
  readonly deadlineMs: number
  /** True once nobody waits. */
  readonly ended: boolean
  /** What its times are noted in, when the request is traced. */
  readonly recording?: Recorder | undefined
}

/** Notes parts of a request that is traced, by `performance.now()`. */
interface Recorder {
  add(name: string, startMs: number, endMs: number, failure?: string): void
}

export interface PasswordPoolOptions {
  threads: number
  /**
   * Passwords that may wait for a thread. One more throws `PasswordPoolFullError`, as does one that would wait in vain; when
   * one client has most of them waiting, it is that client's latest that throws `PasswordShareError`.
   */
  queueMax: number
  onError: (error: Error) => void
}

/** What a pool has to do and has done. */
export interface PasswordStats {
  /** Passwords that wait for a thread. */
  readonly waiting: number
  readonly counts: Counts
}

class Counts {
  /** Passwords that are being hashed or verified. */
  running = 0
  /** Passwords that were turned away, or had to make room for others. */
  refused = 0
  /** How long passwords waited for a thread, in seconds. */
  readonly waits = new Histogram(SECONDS)
  /** How long hashing or verifying one took, in seconds. */
  readonly durations = new Histogram(SECONDS)
  /** The same, in milliseconds and lately. */
  averageMs = 0

  /** Passes the result on, and takes note of how long it took. */
  async measure<Result>(work: Promise<Result>, { call, arrivedAtMs }: Waiting): Promise<Result> {
    const startedAtMs = performance.now()
    const result = await work
    const tookMs = performance.now() - startedAtMs
    call.recording?.add('password wait', arrivedAtMs, startedAtMs)
    call.recording?.add('password hash', startedAtMs, startedAtMs + tookMs)
    this.durations.add(tookMs / 1000)
    this.averageMs += (this.averageMs === 0 ? 1 : AVERAGE_WEIGHT) * (tookMs - this.averageMs)
    return result
  }
}

export interface PasswordPool {
  /** A PHC string with a new salt. */
  hash(call: Call, password: string): Promise<string>
  /** The same, but `undefined` for one of the most common passwords. */
  hashUncommon(call: Call, password: string): Promise<string | undefined>
  /** False also for an unknown account (`hash` undefined), after the same work. */
  verify(call: Call, password: string, hash: string | undefined): Promise<boolean>
  stats(): PasswordStats
  close(): Promise<void>
}

interface Waiting extends Member {
  call: Call
  arrivedAtMs: number
  task: PasswordTask
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
}

/** Makes the pool. Threads start with the first password and end when idle: each costs about 10 MB. */
export function createPasswordPool(options: PasswordPoolOptions): PasswordPool {
  const decoy = makeDecoy()
  const waiting = new Turns<Waiting>()
  let threads: Promise<Piscina> | undefined
  const counts = new Counts()

  /**
   * Passwords wait here and not in Piscina's own queue, because that would also run those whose clients have left, and
   * can give up a running one only by killing its thread.
   */
  function run(call: Call, task: PasswordTask): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const kind = task.type === 'verify' ? 'login' : 'registration'
      const arrivedAtMs = performance.now()
      const next = { client: call.client, kind, call, task, arrivedAtMs, resolve, reject } as const
      const turns = waiting.turnsBefore(next) + counts.running + 1
      const expectedMs = (counts.averageMs * turns) / options.threads
      const isHopeless = arrivedAtMs + expectedMs > call.deadlineMs && counts.running > 0
      const isFull = waiting.size >= options.queueMax
      // Whoever it is, one of those that wait is turned away.
      if (isHopeless || isFull) counts.refused += 1
      if (isHopeless) throw new PasswordPoolFullError('Its turn would come after its deadline')
      if (isFull) makeRoom(waiting, next)
      waiting.push(next)
      startWaiting()
    })
  }

  function startWaiting(): void {
    while (counts.running < options.threads) {
      const next = waiting.shift()
      if (!next) return
      if (next.call.ended || next.call.deadlineMs <= performance.now()) {
        next.reject(new CallOverError('Nobody waits for this password any more'))
      } else {
        counts.running += 1
        void runOnThread(next)
      }
    }
  }

  /** Never rejects. */
  async function runOnThread(next: Waiting): Promise<void> {
    counts.waits.add((performance.now() - next.arrivedAtMs) / 1000)
    try {
      threads ??= openThreads(options)
      const pool = await threads
      next.resolve(await counts.measure(pool.run(next.task), next))
    } catch (error) {
      next.reject(error)
    } finally {
      counts.running -= 1
      startWaiting()
    }
  }

  async function verify(call: Call, password: string, hash: string | undefined): Promise<boolean> {
    if (hash !== undefined) checkCosts(hash)
    const matches = await run(call, { type: 'verify', hash: hash ?? decoy, password })
    return matches === true && hash !== undefined
  }

  return {
    hash: async (call, password) => String(await run(call, { type: 'hash', password })),
    hashUncommon: (call, password) =>
      run(call, { type: 'hash-uncommon', password }) as Promise<string | undefined>,
    verify,
    stats: () => ({ waiting: waiting.size, counts }),
    close: async () => (await threads)?.close({ force: true }),
  }
}

/** Refuses a password that waits, in favour of the next one; or throws because the next one has no better claim. */
function makeRoom(waiting: Turns<Waiting>, next: Waiting): void {
  const displaced = waiting.displace(next)
  const refused = displaced ?? next
  const error =
    waiting.count(refused.client) > 0
      ? new PasswordShareError('Its client has its share of the hash queue')
      : new PasswordPoolFullError('Hash queue is full')
  if (!displaced) throw error
  displaced.reject(error)
}

async function openThreads({ threads, onError }: PasswordPoolOptions): Promise<Piscina> {
  const { Piscina } = await import('piscina')
  const pool = new Piscina({
    filename: THREAD_FILE,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: IDLE_TIMEOUT_MS,
  })
  pool.on('error', onError)
  return pool
}

/** True when a stored hash was made with other costs than new ones are. */
export function needsRehash(hash: string): boolean {
  return PHC_STRING.exec(hash)?.[1] !== CURRENT_COSTS
}

/** Throws when a stored hash is not Argon2id or asks for more work than any of our hashes. */
function checkCosts(hash: string): void {
  const [, , memory, passes, lanes] = PHC_STRING.exec(hash) ?? []
  const sane =
    Number(memory) <= MEMORY_KIB_MAX && Number(passes) <= PASSES_MAX && Number(lanes) <= LANES_MAX
  if (!sane) throw new Error('Stored password hash is not Argon2id within the accepted costs')
}

/** A hash that no password has, to be verified for accounts that do not exist. */
function makeDecoy(): string {
  const encode = (bytes: number) => randomBytes(bytes).toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$${CURRENT_COSTS}$${encode(16)}$${encode(32)}`
}
