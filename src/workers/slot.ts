// Runs in the supervisor process. One place of the wanted number of listeners: its process, or the wait for the next one.
import { type ChildProcess, fork } from 'node:child_process'
import type { ListenerMessage, SupervisorMessage } from './messages.ts'

const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000
/** A listener that ends by itself sooner than this after it listened has failed at its start. */
const SETTLE_MS = 5000

/** - `killed`: by the supervisor; its end is not known yet. */
type SlotState = 'empty' | 'starting' | 'listening' | 'refusing' | 'killed'

export interface Command {
  /** Module that the process runs. */
  entry: string
  arguments: string[]
  /** All options of Node: none are inherited. */
  execArguments: string[]
  env: NodeJS.ProcessEnv
}

export interface SlotHooks {
  /** Nothing enforces the type of a message: it can be any JSON value. */
  onMessage(slot: Slot, message: ListenerMessage | null): void
  onEnd(slot: Slot, end: End): void
}

export interface End {
  pid: number | undefined
  /** Signal, exit code, or why there was no process at all. */
  reason: string
  /** By itself, with exit code 0. */
  clean: boolean
}

export class Slot {
  state: SlotState = 'empty'
  /** Whether its process has tried to open its connections to the database. */
  usable = false
  /** Whether its process has reported that it is ready, or that it is not. */
  ready = false
  unready = false
  /** Checks since its last message. */
  silentChecks = 0
  /** When the next process starts, while the slot is empty. */
  dueAtMs = Number.POSITIVE_INFINITY
  readonly #hooks: SlotHooks
  #child: ChildProcess | undefined
  #timer: NodeJS.Timeout | undefined
  #listeningSinceMs = Number.POSITIVE_INFINITY
  #failedStarts = 0

  constructor(hooks: SlotHooks) {
    this.#hooks = hooks
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start({ entry, arguments: args, execArguments, env }: Command): void {
    this.cancel()
    this.state = 'starting'
    this.usable = false
    this.silentChecks = 0
    this.#listeningSinceMs = Number.POSITIVE_INFINITY
    let child: ChildProcess
    try {
      child = fork(entry, args, { env, execArgv: execArguments, serialization: 'json' })
    } catch (error) {
      // Without memory for a process. Callers do not expect the end before the start has returned.
      setImmediate(() => this.#end(undefined, null, `cannot start: ${codeOf(error)}`))
      return
    }
    this.#child = child
    child.on('message', (message) => {
      // What a process has sent may arrive after its end.
      if (this.#child !== child) return
      this.silentChecks = 0
      this.#hooks.onMessage(this, message as ListenerMessage | null)
    })
    // A process that exists has further errors of messages and signals only, and then also ends.
    child.on('error', (error) => {
      if (child.pid === undefined) this.#end(child, null, `cannot start: ${codeOf(error)}`)
    })
    child.once('exit', (code, signal) => this.#end(child, signal, signal ?? `exit code ${code}`))
  }

  listens(): void {
    this.state = 'listening'
    this.#listeningSinceMs = performance.now()
  }

  send(message: SupervisorMessage): void {
    if (this.#child?.connected) this.#child.send(message)
  }

  /** Asks its process for what it has counted. False when there is none that has started. */
  ask(round: number): boolean {
    if (this.state !== 'listening' && this.state !== 'refusing') return false
    this.send({ type: 'count', round })
    return this.#child?.connected === true
  }

  kill(): void {
    if (this.state === 'empty') return
    this.state = 'killed'
    this.#child?.kill('SIGKILL')
  }

  /** Calls `start` at `dueAtMs`, in place of an earlier plan. */
  plan(dueAtMs: number, start: () => void): void {
    this.cancel()
    this.dueAtMs = dueAtMs
    this.#timer = setTimeout(start, Math.max(dueAtMs - performance.now(), 0))
  }

  cancel(): void {
    clearTimeout(this.#timer)
    this.dueAtMs = Number.POSITIVE_INFINITY
  }

  /**
   * How long the slot stays empty. Only a start that failed is repeated more and more slowly. SIGKILL comes from outside
   * (an operator, the kernel without memory) or from the supervisor, and says nothing about the next start; in the middle
   * of a start it costs a short delay, so that a kernel without memory is not asked for one process after the other.
   */
  delayMs(reason: string): number {
    if (reason === 'SIGKILL') {
      return this.#listeningSinceMs === Number.POSITIVE_INFINITY ? BACKOFF_MS_MIN : 0
    }
    const settled = performance.now() - this.#listeningSinceMs > SETTLE_MS
    this.#failedStarts = settled ? 0 : this.#failedStarts + 1
    if (this.#failedStarts <= 1) return 0
    return Math.min(BACKOFF_MS_MIN * 2 ** (this.#failedStarts - 2), BACKOFF_MS_MAX)
  }

  #end(child: ChildProcess | undefined, signal: NodeJS.Signals | null, reason: string): void {
    this.state = 'empty'
    this.usable = false
    this.ready = false
    this.unready = false
    this.#child = undefined
    const clean = signal === null && child?.exitCode === 0
    this.#hooks.onEnd(this, { pid: child?.pid, reason, clean })
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
