// Runs in the supervisor process. Keeps the wanted number of listener processes alive, and none that has stopped responding.
import { type Counts, ListenerCounts } from './counts.ts'
import { Inspections } from './inspections.ts'
import {
  type DatabaseState,
  type Inspection,
  type ListenerMessage,
  MIGRATED,
  type SupervisorMessage,
} from './messages.ts'
import { type Command, type End, Slot } from './slot.ts'

/** Least time between two starts that are early because no listener is left. */
const RESCUE_INTERVAL_MS = 500
/** Checks in a row without a message after which a listener does not respond. */
const SILENT_CHECKS_MAX = 5
/** The same before it listens: loading modules keeps its event loop busy. */
const STARTING_SILENT_CHECKS_MAX = 15
/** How much longer than its drain deadline a listener may take before it is killed. */
const KILL_GRACE_MS = 2000
/** How long the others wait for a listener that does not report that it refuses connections. */
const REFUSE_GRACE_MS = 1000

export interface SupervisorOptions extends Command {
  listeners: number
  /** How long a listener may send nothing before it is killed; several times the interval of its beats. */
  silenceMsMax: number
  /** Time that a listener lets pass before it refuses connections. */
  drainDelayMs: number
  /** Time that its drain may take after that. */
  shutdownTimeoutMs: number
  /** Whether counts are to outlive their listeners. */
  keepsCounts: boolean
  onReplaced(event: { listener_pid: number | undefined; reason: string; delay_ms: number }): void
  /** The event loop of a listener does not turn; the listener is killed, and then replaced. */
  onSilent(event: { listener_pid: number | undefined; silent_ms: number }): void
  /** A listener sent a message that is not in `messages.ts`; it was ignored. */
  onUnexpected(event: { listener_pid: number | undefined; type: unknown }): void
}

/** In this order. */
type State = 'starting' | 'running' | 'draining'

/** Starts the listeners. Each that dies later is replaced: at once, or after a delay when its start failed repeatedly. */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #slots: Slot[]
  readonly #counts: ListenerCounts
  readonly #inspections = new Inspections()
  /** Listeners that were replaced, by how they ended. */
  readonly replaced = new Map<string, number>()
  readonly #start = Promise.withResolvers<void>()
  readonly #use = Promise.withResolvers<void>()
  readonly #refused = Promise.withResolvers<void>()
  readonly #drained = Promise.withResolvers<boolean>()
  readonly #checkMs: number
  readonly #checks: NodeJS.Timeout
  #checkedAtMs = performance.now()
  #rescueAtMs = Number.NEGATIVE_INFINITY
  #state: State = 'starting'
  #database: DatabaseState | undefined
  /** Undefined as long as it is that of the settings. */
  #logLevels: string | undefined
  #clean = true

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.listeners }, () => {
      return new Slot({
        onMessage: (slot, message) => this.#receive(slot, message),
        onEnd: (slot, end) => this.#ended(slot, end),
      })
    })
    this.#counts = new ListenerCounts(this.#slots, options.keepsCounts)
    this.#checkMs = options.silenceMsMax / SILENT_CHECKS_MAX
    this.#checks = setInterval(() => this.#checkSilence(), this.#checkMs).unref()
    for (const slot of this.#slots) this.#spawn(slot)
  }

  /** Resolves once every listener accepts connections; rejects when one ends, or a stop comes, before that. */
  get started(): Promise<void> {
    return this.#start.promise
  }

  /** Resolves once every listener has tried to open its connections to the database. */
  get usable(): Promise<void> {
    return this.#use.promise
  }

  /** What all listeners have counted, in every one of their lives. */
  readCounts(): Promise<Counts> {
    return this.#counts.read()
  }

  /** Resolves when the file is written. Listeners count from 1. */
  inspect(listener: number, inspection: Inspection): Promise<void> {
    const slot = this.#slots[listener - 1]
    if (slot?.state !== 'listening') return Promise.reject(new Error('There is no such listener'))
    return this.#inspections.start(slot, inspection)
  }

  /** The states of the listeners. */
  get states(): string[] {
    return this.#slots.map(({ state }) => state)
  }

  /** Why no client should be sent here, as far as the listeners have reported; undefined when one should. */
  async whyNotReady(): Promise<string | undefined> {
    if (this.#state === 'draining') return 'The service is draining'
    if (this.#slots.some(({ unready }) => unready)) return 'A listener is not ready'
    return this.#slots.some(({ ready }) => ready) ? undefined : 'No listener is ready yet'
  }

  /** Reports the state of the database to every listener, and to each that is started later. */
  reportDatabase(state: DatabaseState): void {
    this.#database = state
    this.#send({ type: 'database', state })
  }

  /** Sets what every listener logs, and each that is started later. */
  setLogLevels(levels: string): void {
    this.#logLevels = levels
    this.#send({ type: 'log-level', levels })
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
    this.#checkDrained()
    const clean = await this.#drained.promise
    clearTimeout(deadline)
    clearTimeout(impatience)
    return clean
  }

  /** Kills the listeners that are left. */
  terminate(): void {
    this.#become('draining')
    for (const slot of this.#slots) slot.kill()
  }

  #spawn(slot: Slot): void {
    const { arguments: words } = this.#options
    const migrated = this.#database === 'migrated'
    slot.start({ ...this.#options, arguments: migrated ? [...words, MIGRATED] : words })
    if (this.#database && !migrated) slot.send({ type: 'database', state: this.#database })
    if (this.#logLevels) slot.send({ type: 'log-level', levels: this.#logLevels })
  }

  #send(message: SupervisorMessage): void {
    for (const slot of this.#slots) slot.send(message)
  }

  /** Reports to every listener whether the others are ready. One that has died, or was never ready yet, does not count. */
  #reportOthers(): void {
    const unready = this.#slots.filter(({ unready: is }) => is)
    for (const slot of this.#slots) {
      slot.send({ type: 'others', ready: unready.every((other) => other === slot) })
    }
  }

  #receive(slot: Slot, message: ListenerMessage | null): void {
    const type = message?.type
    switch (type) {
      case 'listening':
        slot.listens()
        if (this.#slots.every(({ state }) => state === 'listening')) this.#become('running')
        break
      case 'beat':
        break
      case 'usable':
        slot.usable = true
        this.#reportOthers()
        if (this.#slots.every(({ usable }) => usable)) this.#use.resolve()
        break
      case 'readiness':
        slot.ready = message?.ready === true
        slot.unready = !slot.ready
        this.#reportOthers()
        break
      case 'counted':
        if (message) this.#counts.receive(slot, message.round, message.families)
        break
      case 'inspected':
        this.#inspections.receive(slot, message?.reason)
        break
      case 'refusing':
        slot.state = 'refusing'
        this.#checkRefused()
        break
      default:
        this.#options.onUnexpected({ listener_pid: slot.pid, type: type satisfies undefined })
    }
  }

  /** The only place that changes the state. Draining is final. */
  #become(next: State): void {
    if (next === this.#state || this.#state === 'draining') return
    this.#state = next
    if (next === 'running') {
      this.#start.resolve()
    } else {
      clearInterval(this.#checks)
      this.#counts.close()
      for (const slot of this.#slots) slot.cancel()
      // Has no effect when the start is over.
      this.#start.reject(new Error('Stopped while starting'))
    }
  }

  #checkRefused(): void {
    if (this.#state !== 'draining') return
    if (this.#slots.every(({ state }) => state !== 'listening')) this.#refused.resolve()
  }

  #checkDrained(): void {
    if (this.#slots.every(({ state }) => state === 'empty')) this.#drained.resolve(this.#clean)
  }

  #ended(slot: Slot, end: End): void {
    this.#counts.keep(slot)
    this.#inspections.end(slot)
    this.#reportOthers()
    switch (this.#state) {
      case 'draining':
        this.#clean &&= end.clean
        this.#checkRefused()
        this.#checkDrained()
        break
      case 'starting':
        this.#start.reject(new Error(`Listener ended while starting (${end.reason})`))
        break
      case 'running':
        this.#replace(slot, end)
        break
    }
  }

  #replace(slot: Slot, { pid, reason }: End): void {
    const now = performance.now()
    this.replaced.set(reason, (this.replaced.get(reason) ?? 0) + 1)
    slot.plan(now + slot.delayMs(reason), () => this.#spawn(slot))
    this.#rescue(now)
    const delayMs = Math.round(slot.dueAtMs - now)
    this.#options.onReplaced({ listener_pid: pid, reason, delay_ms: delayMs })
  }

  /** Without any listener, the next start does not wait for its turn, but for the last early start to be a while ago. */
  #rescue(now: number): void {
    if (this.#slots.some(({ state }) => state !== 'empty')) return
    const next = this.#slots.reduce((first, slot) => (slot.dueAtMs < first.dueAtMs ? slot : first))
    const early = Math.max(now, this.#rescueAtMs + RESCUE_INTERVAL_MS)
    if (next.dueAtMs <= early) return
    this.#rescueAtMs = early
    next.plan(early, () => this.#spawn(next))
  }

  /**
   * Kills a listener that has sent nothing for too long: one per check, because when all are silent the machine may be
   * the cause. A check that is late says that this process did not run either (the machine slept, the whole group was
   * stopped, others took the CPUs), so what was not heard until then does not count.
   */
  #checkSilence(): void {
    const now = performance.now()
    const late = now - this.#checkedAtMs > 1.5 * this.#checkMs
    this.#checkedAtMs = now
    for (const slot of this.#slots) {
      const excused = late || this.#inspections.holds(slot)
      slot.silentChecks = excused ? 0 : slot.silentChecks + 1
    }
    const silent = this.#slots.find(isSilent)
    if (!silent) return
    const silentMs = Math.round(silent.silentChecks * this.#checkMs)
    this.#options.onSilent({ listener_pid: silent.pid, silent_ms: silentMs })
    silent.kill()
  }
}

function isSilent({ state, silentChecks }: Slot): boolean {
  if (state === 'starting') return silentChecks > STARTING_SILENT_CHECKS_MAX
  return state === 'listening' && silentChecks > SILENT_CHECKS_MAX
}
