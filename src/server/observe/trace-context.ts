// Runs in listeners. The trace that a client puts its request in: the W3C recommendation Trace Context, level 2.

/** A place in a trace. */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string
  /** The span of the client that sends the request: 16 digits. */
  readonly spanId: string
  readonly flags: number
  /** The value of `tracestate`, or the empty string. */
  readonly state: string
}

/** The client records its spans, and expects the same of the service. */
export const SAMPLED = 0x01
/** The end of the trace id is random, so that it can decide on sampling. */
const RANDOM = 0x02
/** What version 00 says beyond these means nothing. */
const KNOWN_FLAGS = SAMPLED | RANDOM

/**
 * Version, trace, span, flags. Version ff and ids of zeros are not valid; only a version after 00 may have more fields.
 */
const TRACEPARENT =
  /^(?!ff|00.{54})[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-.*)?$/
/** The same, of a client that does not record its spans. */
const UNSAMPLED =
  /^(?!ff|00.{54})[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f][02468ace](?:-.*)?$/

const STATE_LENGTH_MAX = 512
const STATE_MEMBERS_MAX = 32
const STATE_MEMBER =
  /^([a-z\d][a-z\d_*/@-]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const OPTIONAL_SPACE = /^[ \t]+|[ \t]+$/g

/**
 * The place that a client names, or nothing when it names none, or not as the recommendation says. Lines of a repeated
 * header are joined by commas: two of `traceparent` are then none, and those of `tracestate` are one list.
 */
export function readTraceContext(
  traceparent: string,
  tracestate: string,
): TraceContext | undefined {
  if (traceparent === '') return undefined
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return {
    traceId,
    spanId,
    flags: Number.parseInt(flags, 16) & KNOWN_FLAGS,
    state: isTraceState(tracestate) ? tracestate : '',
  }
}

/** Whether a client names a place in a trace, and does not record it. Allocates nothing, because most are not recorded. */
export function isUnsampled(traceparent: string): boolean {
  return UNSAMPLED.test(traceparent)
}

/** What is too long or not valid is dropped as a whole: the rest might mean something else without it. */
function isTraceState(text: string): boolean {
  if (text === '' || text.length > STATE_LENGTH_MAX) return false
  const members = text.split(',').map((member) => member.replaceAll(OPTIONAL_SPACE, ''))
  const keys = members
    .filter((member) => member !== '')
    .map((member) => STATE_MEMBER.exec(member)?.[1])
  if (keys.length === 0 || keys.length > STATE_MEMBERS_MAX || keys.includes(undefined)) return false
  return new Set(keys).size === keys.length
}
