// Runs in every process that serves, when somebody may ask: how the process itself is doing. None of it is free.
import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  PerformanceObserver,
} from 'node:perf_hooks'
import { Histogram, SECONDS } from '../../stats/histogram.ts'

const RESOLUTION_MS = 10
/** The delay is that of the worse of two windows, the last one and the present one, so that no scrape misses a pause. */
const WINDOW_MS = 15_000
/** Shorter times say little about the utilisation. */
const UTILIZATION_MS_MIN = 900
const GC_KINDS: Readonly<Record<number, string>> = {
  1: 'minor',
  4: 'major',
  8: 'incremental',
  16: 'weak_callbacks',
}

/** A collection, as Node describes it. */
interface Collection {
  readonly duration: number
  readonly detail: { readonly kind: number }
}

/** In seconds. */
interface Delay {
  median: number
  p99: number
  max: number
}

const NO_DELAY: Delay = { median: 0, p99: 0, max: 0 }

export class Vitals {
  /** Pauses of the garbage collector by kind, in seconds. */
  readonly pauses = new Map(
    Object.values(GC_KINDS).map((kind) => [kind, new Histogram(SECONDS)] as const),
  )
  readonly #monitor: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #lastDelay = NO_DELAY
  #mark: EventLoopUtilization = performance.eventLoopUtilization()
  #markedAtMs = performance.now()
  #utilization = 0

  constructor() {
    this.#monitor.enable()
    setInterval(() => this.#turnWindow(), WINDOW_MS).unref()
    new PerformanceObserver((list) => {
      for (const { detail, duration } of list.getEntries() as unknown as Collection[]) {
        this.pauses.get(GC_KINDS[detail.kind] ?? '')?.add(duration / 1000)
      }
    }).observe({ entryTypes: ['gc'] })
  }

  /** How much later than asked for timers ran. */
  get delay(): Delay {
    const present = this.#readDelay()
    const last = this.#lastDelay
    return {
      median: Math.max(present.median, last.median),
      p99: Math.max(present.p99, last.p99),
      max: Math.max(present.max, last.max),
    }
  }

  /** The part of the time that the event loop was busy, lately. */
  get utilization(): number {
    const nowMs = performance.now()
    if (nowMs - this.#markedAtMs >= UTILIZATION_MS_MIN) {
      const next = performance.eventLoopUtilization()
      this.#utilization = performance.eventLoopUtilization(next, this.#mark).utilization
      this.#mark = next
      this.#markedAtMs = nowMs
    }
    return this.#utilization
  }

  #turnWindow(): void {
    this.#lastDelay = this.#readDelay()
    this.#monitor.reset()
  }

  #readDelay(): Delay {
    if (this.#monitor.count === 0) return NO_DELAY
    return {
      median: delaySeconds(this.#monitor.percentile(50)),
      p99: delaySeconds(this.#monitor.percentile(99)),
      max: delaySeconds(this.#monitor.max),
    }
  }
}

/** What is measured is the time between two timers, the one that was asked for included. */
function delaySeconds(nanoseconds: number): number {
  return Math.max(nanoseconds / 1e9 - RESOLUTION_MS / 1000, 0)
}
