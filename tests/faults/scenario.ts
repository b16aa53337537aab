// What a scenario of faults is, and what all of them need. The same scenarios run shortly in the tests, and in full with
// `npm run test:faults`.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient, eventually } from '../support/client.ts'
import { startService, type TestService } from '../support/service.ts'
import type { TrafficReport } from './ledger.ts'
import { recoveryMs } from './meter.ts'
import { childrenOf, type FaultServer } from './server.ts'

export interface Stage {
  server: FaultServer
  /** What the services run: the sources, or the bundle that is meant for production. */
  entry: string
  /** DB_CLIENT of the services. */
  client: string
  seed: number
  /** 1 is the full run; a smaller number is as much less. */
  scale: number
  /** Reports progress. */
  note(text: string): void
}

export interface Figure {
  name: string
  measured: number
  /** The promise is kept when `measured` is no more than this. */
  limit: number
  unit?: 'ms' | 'MB' | 'KB/min' | '%'
  /** A time: on a busy machine it says more about the machine, so that the tests do not judge it. */
  isTime?: true
  /** What was found, when it was not 0. */
  examples?: string[]
}

export interface Outcome {
  /** Counts and seconds, in words. */
  done: string
  figures: Figure[]
}

export interface Scenario {
  name: string
  promise: string
  /** False where something is missing that it needs. */
  isPossible?: () => boolean
  run: (stage: Stage) => Promise<Outcome>
}

export const REQUEST_TIMEOUT_MS = 1500
/** How much later than its deadline a request may be answered or closed. */
const GRACE_MS = 100
export const ANSWER_MS_MAX = REQUEST_TIMEOUT_MS + GRACE_MS
/** The defaults of one listener, for scenarios that do not want the deadlines of the others. */
export const DEFAULTS = {
  LISTENERS: '1',
  REQUEST_TIMEOUT_MS: '10000',
  DB_STATEMENT_TIMEOUT_MS: '5000',
} as const
const RECOVERY_WAIT_MS = 15_000
const EXAMPLES_MAX = 5

/** `full` times the scale, as an integer, but at least `least`. */
export function scaled({ scale }: Stage, full: number, least: number): number {
  return Math.max(least, Math.round(full * scale))
}

/** A service that is ready. */
export async function startNode(
  stage: Stage,
  env: Record<string, string> = {},
  url = stage.server.url,
  preparation = '',
): Promise<TestService> {
  const service = await startListening(stage, env, url, preparation)
  await untilReady(service.url)
  return service
}

/**
 * A service that listens, with or without a database.
 *
 * @param preparation words of the shell that becomes the service
 */
export async function startListening(
  stage: Stage,
  env: Record<string, string> = {},
  url = stage.server.url,
  preparation = '',
): Promise<TestService> {
  return startService(url, { ...settingsFor(stage), ...env }, stage.entry, preparation)
}

export function settingsFor({ client }: Stage): Record<string, string> {
  return {
    DB_CLIENT: client,
    REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS),
    DB_STATEMENT_TIMEOUT_MS: '1000',
    PASSWORD_QUEUE: '200',
    LOG_LEVEL: 'info',
  }
}

/** Resolves when the service says that it is ready. */
export async function untilReady(url: string): Promise<void> {
  const client = createClient(url)
  const isReady = () =>
    client.get('/ready').then(
      ({ status }) => status === 200,
      () => false,
    )
  await eventually('readiness', isReady, 30_000)
}

/** The processes that serve requests. */
export function listenersOf({ child }: TestService): number[] {
  const pid = child.pid ?? 0
  const children = childrenOf(pid)
  return children.length > 0 ? children : [pid]
}

export function residentMb(service: TestService): number {
  const kilobytes = listenersOf(service).map((pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0)
  })
  return kilobytes.reduce((sum, value) => sum + value, 0) / 1024
}

/** Milliseconds until 90 % of the rate is back, infinity when it does not come. */
export async function measureRecovery(
  report: TrafficReport,
  healedAt: number,
  ratePerSecond: number,
): Promise<number> {
  const deadline = performance.now() + RECOVERY_WAIT_MS
  while (performance.now() < deadline) {
    const found = recoveryMs(report.goodAt, healedAt, ratePerSecond)
    if (found !== undefined) return found
    await delay(100)
  }
  return Number.POSITIVE_INFINITY
}

/** What must hold of every traffic, whatever happened. */
export function truthFigures(report: TrafficReport): Figure[] {
  return [
    listFigure('answers that are wrong, foreign, or lost what was acknowledged', report.wrong),
    listFigure('answers of 500', report.broken),
    {
      name: 'requests not sent, too many in flight',
      measured: report.skipped,
      limit: 0,
      isTime: true,
    },
  ]
}

/** The clients' own delay is taken off: they cannot see an answer while they do not run. */
export function longestFigure(report: TrafficReport, during = ''): Figure {
  const ownDelayMs = Math.round(report.ownDelayMs)
  return {
    name: `${during}longest request, less the clients' own delay of ${ownDelayMs} ms`,
    measured: report.longestMs - ownDelayMs,
    limit: ANSWER_MS_MAX,
    unit: 'ms',
    isTime: true,
    examples: report.late.slice(-EXAMPLES_MAX),
  }
}

export function hangFigure({ unanswered }: TrafficReport): Figure {
  const hung = unanswered.filter((text) => text.includes('TimeoutError'))
  return listFigure('requests that hung', hung)
}

export function exitFigure(services: readonly TestService[], expected = 0): Figure {
  const lines = services.flatMap((service) => service.lines)
  const deaths = lines.filter(({ msg }) => msg.startsWith('Listener died'))
  const ended = services.filter(({ child }) => child.exitCode !== null || child.signalCode !== null)
  return {
    name: 'processes that ended, apart from those that were killed',
    measured: deaths.length - expected + ended.length,
    limit: 0,
    examples: deaths.slice(0, EXAMPLES_MAX).map((line) => JSON.stringify(line)),
  }
}

export function listFigure(name: string, found: readonly string[], limit = 0): Figure {
  return { name, measured: found.length, limit, examples: found.slice(0, EXAMPLES_MAX) }
}

export function timeFigure(name: string, measured: number, limit: number): Figure {
  return { name, measured, limit, unit: 'ms', isTime: true }
}
