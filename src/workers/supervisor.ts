// Runs in the supervisor process. Keeps the wanted number of listener processes alive.
import { type ChildProcess, fork } from 'node:child_process'
import {
  type DatabaseState,
  type ListenerMessage,
  MIGRATED,
  type SupervisorMessage,
} from './messages.ts'

const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000
/** A listener that lived this long did not fail at its start, so its replacement starts at once. */
const STABLE_MS = 10_000
/** How much longer than its drain deadline a listener may take before it is killed. */
const KILL_GRACE_MS = 2000
/** How long the others wait for a listener that does not report that it refuses connections. */
const REFUSE_GRACE_MS = 1000

export interface SupervisorOptions {
  /** Module that a listener process runs. */
  entry: string
  arguments: string[]
  /** Options of Node for every listener, on top of this process' own. */
  execArguments: string[]
  env: NodeJS.ProcessEnv
  listeners: number
  /** Time that a listener lets pass before it refuses connections. */
  drainDelayMs: number
  /** Time that its drain may take after that. */
  shutdownTimeoutMs: number
  onReplaced(event: { listener_pid: number | undefined; reason: string; delay_ms: number }): void
  /** A listener sent a message that is not in `messages.ts`; it was ignored. */
  onUnexpected(event: { listener_pid: number | undefined; type: unknown }): void
}

/** In this order. */
type State = 'starting' | 'running' | 'draining'

/** Starts the listeners; each that dies later is replaced, after a delay that grows while they keep dying. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #children = new Set<ChildProcess>()
  readonly #listening = new Set<ChildProcess>()
  readonly #usable = new Set<ChildProcess>()
  /** Listeners that have reported that they are not ready. */
  readonly #unready = new Set<ChildProcess>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #start = Promise.withResolvers<void>()
  readonly #use = Promise.withResolvers<void>()
  readonly #refused = Promise.withResolvers<void>()
  readonly #drained = Promise.withResolvers<boolean>()
  #state: State = 'starting'
  #database: DatabaseState | undefined
  #clean = true
  #failures = 0

  constructor(options: SupervisorOptions) {
    this.#options = options
    for (let count = 0; count < options.listeners; count += 1) this.#spawn()
  }

  /** Resolves once every listener accepts connections; rejects when one ends, or a stop comes, before that. */
  get started(): Promise<void> {
    return this.#start.promise
  }

  /** Resolves once every listener has tried to open its connections to the database. */
  get usable(): Promise<void> {
    return this.#use.promise
  }

  /** Reports the state of the database to every listener, and to each that is started later. */
  reportDatabase(state: DatabaseState): void {
    this.#database = state
    this.#send({ type: 'database', state })
  }

  /**
   * Drains every listener. True when all of them ended by themselves, with exit code 0, in time. First all refuse
   * connections, then all ask their clients to close: otherwise a client could reconnect to a listener that still
   * accepts, and be reset when that listener stops.
   */
  async drain(): Promise<boolean> {
    this.#become('draining')
    const { drainDelayMs, shutdownTimeoutMs } = this.#options
    const patienceMs = drainDelayMs + shutdownTimeoutMs + KILL_GRACE_MS
    const deadline = setTimeout(() => this.terminate(), patienceMs)
    const impatience = setTimeout(() => this.#refused.resolve(), drainDelayMs + REFUSE_GRACE_MS)
    this.#send({ type: 'refuse' })
    this.#checkRefused()
    await this.#refused.promise
    this.#send({ type: 'drain' })
    if (this.#children.size === 0) this.#drained.resolve(this.#clean)
    const clean = await this.#drained.promise
    clearTimeout(deadline)
    clearTimeout(impatience)
    return clean
  }

  /** Kills the listeners that are left. */
  terminate(): void {
    this.#become('draining')
    for (const child of this.#children) child.kill('SIGKILL')
  }

  #spawn(): void {
    const { entry, arguments: words, execArguments, env } = this.#options
    const migrated = this.#database === 'migrated'
    const child = fork(entry, migrated ? [...words, MIGRATED] : words, {
      env,
      execArgv: [...process.execArgv, ...execArguments],
      serialization: 'json',
    })
    const bornAt = Date.now()
    this.#children.add(child)
    child.on('message', (message) => this.#receive(child, message as ListenerMessage | null))
    child.on('error', (error) => this.#start.reject(error))
    if (this.#database && !migrated) child.send({ type: 'database', state: this.#database })
    child.once('exit', (code, signal) => {
      this.#children.delete(child)
      this.#listening.delete(child)
      this.#usable.delete(child)
      this.#setReady(child, true)
      this.#checkRefused()
      this.#ended(child, signal ?? `exit code ${code}`, Date.now() - bornAt)
    })
  }

  #send(message: SupervisorMessage): void {
    for (const child of this.#children) if (child.connected) child.send(message)
  }

  #setReady(child: ChildProcess, ready: boolean): void {
    if (ready) this.#unready.delete(child)
    else this.#unready.add(child)
    this.#reportOthers()
  }

  /** Reports to every listener whether the others are ready. One that has died does not count. */
  #reportOthers(): void {
    for (const child of this.#children) {
      const others = this.#unready.size - Number(this.#unready.has(child))
      if (child.connected) child.send({ type: 'others', ready: others === 0 })
    }
  }

  /** Nothing enforces the type: a message can be any JSON value. */
  #receive(child: ChildProcess, message: ListenerMessage | null): void {
    const type = message?.type
    switch (type) {
      case 'listening':
        this.#listening.add(child)
        if (this.#listening.size === this.#options.listeners) this.#become('running')
        break
      case 'usable':
        this.#usable.add(child)
        this.#reportOthers()
        if (this.#usable.size === this.#options.listeners) this.#use.resolve()
        break
      case 'readiness':
        this.#setReady(child, message?.ready === true)
        break
      case 'refusing':
        this.#listening.delete(child)
        this.#checkRefused()
        break
      default:
        this.#options.onUnexpected({ listener_pid: child.pid, type: type satisfies undefined })
    }
  }

  /** The only place that changes the state. Draining is final. */
  #become(next: State): void {
    if (next === this.#state || this.#state === 'draining') return
    this.#state = next
    if (next === 'running') {
      this.#start.resolve()
    } else {
      for (const timer of this.#timers) clearTimeout(timer)
      // Has no effect when the start is over.
      this.#start.reject(new Error('Stopped while starting'))
    }
  }

  #checkRefused(): void {
    if (this.#state === 'draining' && this.#listening.size === 0) this.#refused.resolve()
  }

  #ended(child: ChildProcess, reason: string, ageMs: number): void {
    switch (this.#state) {
      case 'draining':
        this.#clean &&= child.exitCode === 0
        if (this.#children.size === 0) this.#drained.resolve(this.#clean)
        break
      case 'starting':
        this.#start.reject(new Error(`Listener ended while starting (${reason})`))
        break
      case 'running':
        this.#failures = ageMs > STABLE_MS ? 0 : this.#failures + 1
        this.#replace(child, reason)
        break
    }
  }

  #replace(child: ChildProcess, reason: string): void {
    const delayMs = backoffMs(this.#failures)
    this.#options.onReplaced({ listener_pid: child.pid, reason, delay_ms: delayMs })
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#spawn()
    }, delayMs)
    this.#timers.add(timer)
  }
}

/** No delay after the first early death, then a delay that doubles each time. */
function backoffMs(failures: number): number {
  return failures <= 1 ? 0 : Math.min(BACKOFF_MS_MIN * 2 ** (failures - 2), BACKOFF_MS_MAX)
}
