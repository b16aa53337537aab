// Runs in listeners. What has become of the requests of a route, counted without allocating.
import { Histogram, SECONDS } from '../../stats/histogram.ts'

/** Methods that are counted by their names. A client may send any word, which must not become a label. */
const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'PUT', 'OPTIONS']
const OTHER_METHOD = 'other'
/** The pattern of what no route has. */
export const UNMATCHED = '/*'
/** In place of a status. */
const ABORTED = 0

/** As metrics and log lines name a method. */
export function nameMethod(method: string): string {
  return METHODS.includes(method) ? method : OTHER_METHOD
}

/** Requests of one method with one outcome. */
interface Outcome {
  readonly method: string
  readonly status: number
  count: number
}

export class RouteTally {
  /** Path template of the route. */
  readonly pattern: string
  /** From the head of a request to its answer, in seconds. */
  readonly durations = new Histogram(SECONDS)
  /** A route has few. */
  readonly #outcomes: Outcome[] = []

  constructor(pattern: string) {
    this.pattern = pattern
  }

  countAnswer(method: string, status: number, tookMs: number): void {
    this.durations.add(tookMs / 1000)
    this.#count(method, status)
  }

  /** Counts a request whose client left before its answer. */
  countAborted(method: string): void {
    this.#count(method, ABORTED)
  }

  /** Requests by method and by status, or `aborted`. */
  get outcomes(): readonly { method: string; status: string; count: number }[] {
    return this.#outcomes.map(({ method, status, count }) => ({
      method,
      status: status === ABORTED ? 'aborted' : String(status),
      count,
    }))
  }

  #count(method: string, status: number): void {
    const name = nameMethod(method)
    for (const outcome of this.#outcomes) {
      if (outcome.status === status && outcome.method === name) {
        outcome.count += 1
        return
      }
    }
    this.#outcomes.push({ method: name, status, count: 1 })
  }
}
