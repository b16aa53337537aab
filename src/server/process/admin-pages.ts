// Runs in the process that the user started, when ADMIN_PORT is set. The pages that programs read: probes and metrics.
import type { OutgoingHttpHeaders } from 'node:http'
import { type Family, listParts, mergeParts } from '../../stats/families.ts'
import type { Counts } from '../../workers/counts.ts'
import type { Inspection } from '../../workers/messages.ts'
import { readMemoryBytes } from './memory.ts'
import { readFamilies } from './metric.ts'
import { SERVICE_METRICS } from './metrics-table.ts'

/** The service, as operators see it. */
export interface Observed {
  /** Never waits long for a listener. */
  readCounts(): Promise<Counts>
  /** Undefined when clients should be sent here. */
  whyNotReady(): Promise<string | undefined>
  /** Resolves when the file is written. Listeners count from 1. */
  inspect(listener: number, inspection: Inspection): Promise<void>
  /** The states of the listeners. */
  readonly states: readonly string[]
  /** Listeners that were replaced, by how they ended. */
  readonly replaced: ReadonlyMap<string, number>
}

/** A request, as pages see it. */
export interface Asked {
  /** The `Accept` header. */
  readonly accept: string
  readonly query: URLSearchParams
  /** The body, or nothing when it is too long. */
  readonly readText: () => Promise<string | undefined>
}

export interface Answer {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  /** A text, or a file. */
  readonly body: string | { readonly file: string }
  /** Called once the answer was sent, or could not be. */
  readonly release?: () => Promise<void>
}

export type Page = (asked: Asked) => Promise<Answer>

/** What a path answers, by method; `HEAD` is a `GET`. */
export type Methods = Readonly<Record<string, Page>>

/** Returns what is wrong with the levels, and then changes nothing. */
export type SetLevels = (levels: string) => string | undefined

export function plain(status: number, text: string): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${text}\n` }
}

export function operatorPages(
  observed: Observed,
  setLevels: SetLevels,
): [path: string, methods: Methods][] {
  return [
    ['/livez', { GET: () => Promise.resolve(plain(200, 'ok')) }],
    ['/readyz', { GET: () => showReadiness(observed) }],
    ['/metrics', { GET: async ({ accept }) => showMetrics(await readAll(observed), accept) }],
    [
      '/metrics/listeners',
      { GET: async ({ accept }) => showMetrics(await readEach(observed), accept) },
    ],
    ['/log-level', { PUT: (asked) => changeLevels(setLevels, asked) }],
  ]
}

async function changeLevels(setLevels: SetLevels, { readText }: Asked): Promise<Answer> {
  const levels = (await readText())?.trim()
  if (levels === undefined) return plain(400, 'That is longer than any list of levels')
  const problem = setLevels(levels)
  return problem === undefined ? plain(200, levels) : plain(400, problem)
}

async function showReadiness(observed: Observed): Promise<Answer> {
  const reason = await observed.whyNotReady()
  return reason === undefined ? plain(200, 'ok') : plain(503, reason)
}

async function showMetrics(families: readonly Family[], accept: string): Promise<Answer> {
  // Only now: most services are never asked, or by others.
  const { writeMetrics } = await import('./exposition.ts')
  const { contentType, text } = await writeMetrics(families, accept)
  return { status: 200, headers: { 'content-type': contentType, vary: 'accept' }, body: text }
}

async function readAll(observed: Observed): Promise<Family[]> {
  const { families, stale } = await observed.readCounts()
  const { states, replaced } = observed
  const ready = (await observed.whyNotReady()) === undefined
  const source = { memoryBytes: readMemoryBytes(), ready, states, replaced, stale }
  const own = readFamilies(SERVICE_METRICS, source)
  return [...families, ...mergeParts([{ process: '', families: own }])]
}

/** By listener. */
async function readEach(observed: Observed): Promise<Family[]> {
  const { parts } = await observed.readCounts()
  return listParts(parts)
}
