// Runs in listeners. Which requests are traced: decided before anything is recorded.
import { SAMPLED, type TraceContext } from './trace-context.ts'

/** What `OTEL_TRACES_SAMPLER` can be, by the names of OpenTelemetry's specification. */
export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio'

/** The digits of a trace id that decide; as many bits as a number of JavaScript holds exactly. */
const DECIDING_DIGITS = 13
const DECIDING_RANGE = 16 ** DECIDING_DIGITS

export interface Sampler {
  /** True when the client decides for the traces that it has started. */
  readonly followsClient: boolean
  /** Whether a request whose client names this place in a trace is recorded. */
  continues(parent: TraceContext): boolean
  /** The id of a new trace, for a request whose client names none; nothing when it is not recorded. */
  start(): string | undefined
}

/**
 * By ratio, a trace is recorded when the number at the end of its id is high enough, so that services with the same ratio
 * choose the same traces (the specification's consistent sampling).
 */
export function createSampler(name: SamplerName, ratio: number): Sampler {
  const followsClient = name.startsWith('parentbased_')
  const part = partOf(name, ratio)
  const lowest = (1 - part) * DECIDING_RANGE
  return {
    followsClient,
    continues: ({ traceId, flags }) =>
      followsClient
        ? (flags & SAMPLED) !== 0
        : Number.parseInt(traceId.slice(-DECIDING_DIGITS), 16) >= lowest,
    start: () => {
      // The number comes first, and the id is made around it: a request that is not recorded costs no id.
      const decides = Math.random() * DECIDING_RANGE
      if (decides < lowest) return undefined
      const end = Math.floor(decides).toString(16).padStart(DECIDING_DIGITS, '0')
      return randomDigits(32 - DECIDING_DIGITS) + end
    },
  }
}

/** The first place of a new trace that is recorded. */
export function newTrace(traceId = randomDigits(32)): TraceContext {
  return { traceId, spanId: randomSpanId(), flags: SAMPLED, state: '' }
}

/** The id of a span. */
export function randomSpanId(): string {
  return randomDigits(16)
}

function partOf(name: SamplerName, ratio: number): number {
  if (name.endsWith('always_on')) return 1
  return name.endsWith('always_off') ? 0 : ratio
}

/** Never all zero. The ids are no secret, only different from each other. */
function randomDigits(count: number): string {
  let digits = (1 + Math.floor(Math.random() * 15)).toString(16)
  while (digits.length < count) {
    digits += Math.floor(Math.random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  }
  return digits.slice(0, count)
}
