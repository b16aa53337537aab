// Runs in the supervisor process. Keeps the wanted number of listener processes alive.
import { type ChildProcess, fork } from 'node:child_process'
import type { ListenerMessage, SupervisorMessage } from './messages.ts'

const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 10_000
/** A listener that lived this long did not die of its start, so the next one starts at once again. */
const STABLE_MS = 10_000
/** What a listener gets on top of its own drain deadline before it is killed. */
const KILL_GRACE_MS = 2000

export interface SupervisorOptions {
  /** Module that a listener process runs, and its arguments. */
  entry: string
  arguments: string[]
  env: NodeJS.ProcessEnv
  listeners: number
  shutdownTimeoutMs: number
  onReplaced(event: { listener_pid: number | undefined; reason: string; delay_ms: number }): void
}

export interface Supervisor {
  /** The port, once every listener accepts connections. Rejects when one ends before it ever did. */
  started: Promise<number>
  /** Tells every listener to drain. True when all of them ended by themselves, with 0, in time. */
  drain(): Promise<boolean>
  /** Kills what is left. */
  terminate(): void
}

type State = 'starting' | 'running' | 'draining'

/** Starts the listeners; each that dies later is replaced, after a delay that grows while it keeps dying. */
export function supervise(options: SupervisorOptions): Supervisor {
  const children = new Set<ChildProcess>()
  const listening = new Set<ChildProcess>()
  const timers = new Set<NodeJS.Timeout>()
  const start = Promise.withResolvers<number>()
  const drained = Promise.withResolvers<boolean>()
  let state: State = 'starting'
  let clean = true
  let failures = 0

  function spawnListener(): void {
    const child = fork(options.entry, options.arguments, {
      env: options.env,
      serialization: 'json',
    })
    const bornAt = Date.now()
    children.add(child)
    child.on('message', (message) => receive(child, message as ListenerMessage))
    child.on('error', (error) => start.reject(error))
    child.once('exit', (code, signal) => {
      children.delete(child)
      listening.delete(child)
      ended(child, signal ?? `exit code ${code}`, Date.now() - bornAt)
    })
  }

  function receive(child: ChildProcess, message: ListenerMessage): void {
    listening.add(child)
    if (state !== 'starting' || listening.size < options.listeners) return
    state = 'running'
    start.resolve(message.port)
  }

  function ended(child: ChildProcess, reason: string, ageMs: number): void {
    if (state === 'draining') {
      clean &&= child.exitCode === 0
      if (children.size === 0) drained.resolve(clean)
      return
    }
    if (state === 'starting') {
      start.reject(new Error(`Listener ended while starting (${reason})`))
      return
    }
    failures = ageMs > STABLE_MS ? 0 : failures + 1
    const delayMs =
      failures <= 1 ? 0 : Math.min(BACKOFF_MS_MIN * 2 ** (failures - 2), BACKOFF_MS_MAX)
    options.onReplaced({ listener_pid: child.pid, reason, delay_ms: delayMs })
    const timer = setTimeout(() => {
      timers.delete(timer)
      spawnListener()
    }, delayMs)
    timers.add(timer)
  }

  function drain(): Promise<boolean> {
    state = 'draining'
    for (const timer of timers) clearTimeout(timer)
    for (const child of children) {
      if (child.connected) child.send({ type: 'drain' } satisfies SupervisorMessage)
    }
    if (children.size === 0) drained.resolve(clean)
    const deadline = setTimeout(terminate, options.shutdownTimeoutMs + KILL_GRACE_MS)
    return drained.promise.finally(() => clearTimeout(deadline))
  }

  function terminate(): void {
    state = 'draining'
    for (const child of children) child.kill('SIGKILL')
  }

  for (let count = 0; count < options.listeners; count += 1) spawnListener()
  return { started: start.promise, drain, terminate }
}
