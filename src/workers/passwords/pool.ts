// Runs in listeners. Hands password hashing to threads, so that the event loop never waits for Argon2.
import { randomBytes } from 'node:crypto'
import { extname } from 'node:path'
import type { Piscina } from 'piscina'
import type { PasswordTask } from '../messages.ts'
import { PASSWORD_COSTS } from './costs.ts'

/** Costs of new hashes, as a PHC string writes them. */
const CURRENT_COSTS = `m=${PASSWORD_COSTS.memoryCost},t=${PASSWORD_COSTS.timeCost},p=${PASSWORD_COSTS.parallelism}`
/** Highest costs accepted from a stored hash: they decide what a verification takes. */
const MEMORY_KIB_MAX = 65_536
const PASSES_MAX = 10
const LANES_MAX = 4
const IDLE_TIMEOUT_MS = 30_000
/** Beside this file, with the same suffix: a source, or a file of the bundle. */
const TASK_FILE = new URL(`./thread${extname(import.meta.url)}`, import.meta.url).href
const PHC_STRING = /^\$argon2id\$v=19\$(m=(\d+),t=(\d+),p=(\d+))\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/

/** Thrown instead of letting one more password wait. */
export class PasswordPoolFullError extends Error {
  override readonly name = 'PasswordPoolFullError'
}

export interface PasswordPoolOptions {
  threads: number
  /** Passwords that may wait for a thread; one more throws `PasswordPoolFullError`. */
  queueMax: number
  onError(error: Error): void
}

export interface PasswordPool {
  /** A PHC string with a new salt. */
  hash(password: string): Promise<string>
  /** False also for an unknown account (`hash` undefined), after the same work. */
  verify(password: string, hash: string | undefined): Promise<boolean>
  close(): Promise<void>
}

/** Makes the pool. Threads start with the first password and end when idle: each costs about 10 MB. */
export function createPasswordPool(options: PasswordPoolOptions): PasswordPool {
  const decoy = makeDecoy()
  let pool: Promise<Piscina> | undefined

  async function open(): Promise<Piscina> {
    const { Piscina } = await import('piscina')
    const opened = new Piscina({
      filename: TASK_FILE,
      minThreads: 0,
      maxThreads: options.threads,
      maxQueue: options.queueMax,
      idleTimeout: IDLE_TIMEOUT_MS,
    })
    opened.on('error', (error) => options.onError(error))
    return opened
  }

  async function run(task: PasswordTask): Promise<unknown> {
    pool ??= open()
    const opened = await pool
    // Piscina counts running tasks apart from waiting ones; its own error at the limit is not typed.
    if (opened.queueSize >= options.queueMax) throw new PasswordPoolFullError('Hash queue is full')
    return opened.run(task)
  }

  async function verify(password: string, hash: string | undefined): Promise<boolean> {
    if (hash !== undefined) checkCosts(hash)
    const matches = await run({ type: 'verify', hash: hash ?? decoy, password })
    return matches === true && hash !== undefined
  }

  return {
    hash: async (password) => String(await run({ type: 'hash', password })),
    verify,
    close: async () => (await pool)?.close({ force: true }),
  }
}

/** True when a stored hash was made with other costs than new ones are. */
export function needsRehash(hash: string): boolean {
  return PHC_STRING.exec(hash)?.[1] !== CURRENT_COSTS
}

/** Throws when a stored hash is not Argon2id or asks for more work than any hash of ours. */
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
