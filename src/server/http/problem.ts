// Runs in listeners. What clients receive when a request fails.

/** Every code that an answer can carry. Codes are stable: clients may rely on them. `about` is for the document. */
export const PROBLEMS = {
  invalid_request: {
    status: 400,
    reason: 'Bad Request',
    about: 'The request is not valid; `errors` lists the invalid fields, at most 50',
  },
  unauthorized: {
    status: 401,
    reason: 'Unauthorized',
    about: 'The token or the credentials are missing or not valid',
  },
  not_found: {
    status: 404,
    reason: 'Not Found',
    about: 'The resource does not exist, or belongs to somebody else',
  },
  method_not_allowed: {
    status: 405,
    reason: 'Method Not Allowed',
    about: 'The path does not support this method; see `Allow`',
  },
  request_timeout: {
    status: 408,
    reason: 'Request Timeout',
    about: 'The body did not arrive in time',
  },
  conflict: { status: 409, reason: 'Conflict', about: 'The resource already exists' },
  length_required: {
    status: 411,
    reason: 'Length Required',
    about: 'The length of the body is missing: send `Content-Length`, or chunks',
  },
  payload_too_large: {
    status: 413,
    reason: 'Content Too Large',
    about: 'The body is too large',
  },
  unsupported_media_type: {
    status: 415,
    reason: 'Unsupported Media Type',
    about: 'The body is not JSON in UTF-8, or is encoded',
  },
  too_many_requests: {
    status: 429,
    reason: 'Too Many Requests',
    about: 'Too many requests from this client or for this account; see `Retry-After`',
  },
  headers_too_large: {
    status: 431,
    reason: 'Request Header Fields Too Large',
    about: 'The request head is too large',
  },
  internal: {
    status: 500,
    reason: 'Internal Server Error',
    about: 'A fault in the service; the log describes it under the request id',
  },
  not_implemented: {
    status: 501,
    reason: 'Not Implemented',
    about: 'The body has a `Transfer-Encoding` other than `chunked`',
  },
  overloaded: {
    status: 503,
    reason: 'Service Unavailable',
    about: 'Too many requests are waiting; see `Retry-After`',
  },
  unavailable: {
    status: 503,
    reason: 'Service Unavailable',
    about: 'The service is starting or draining, or its database cannot serve; see `Retry-After`',
  },
  deadline_exceeded: {
    status: 503,
    reason: 'Service Unavailable',
    about: 'The request was not answered in time; a write may have happened',
  },
} as const

export type ProblemCode = keyof typeof PROBLEMS

/** One invalid field: `pointer` is a JSON pointer (RFC 6901) into the body, or `/name` of a parameter. */
export interface FieldError {
  pointer: string
  message: string
}

/** A failure whose message clients receive as it is. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly errors: readonly FieldError[]
  /** Lower-case names; values must be free of CR and LF. */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ProblemCode,
    message: string,
    details: { errors?: readonly FieldError[]; headers?: Record<string, string> } = {},
  ) {
    super(message)
    this.code = code
    this.errors = details.errors ?? []
    this.headers = details.headers ?? {}
  }

  get status(): number {
    return PROBLEMS[this.code].status
  }

  /** The body of the answer. */
  toBody(requestId: string, traceId: string | undefined) {
    return {
      error: this.message,
      code: this.code,
      request_id: requestId,
      ...(traceId === undefined ? {} : { trace_id: traceId }),
      ...(this.errors.length > 0 ? { errors: this.errors } : {}),
    }
  }
}

export function invalidRequest(message: string, errors: readonly FieldError[] = []): Problem {
  return new Problem('invalid_request', message, { errors })
}

/** RFC 6750, section 3: a challenge names the error only when a token was presented. */
export function unauthorized(message: string, challenge = 'Bearer'): Problem {
  return new Problem('unauthorized', message, { headers: { 'www-authenticate': challenge } })
}

export function notFound(what: string): Problem {
  return new Problem('not_found', `Not found: ${what}`)
}

/** A 503 that says when to try again. */
export function shed(
  code: 'overloaded' | 'unavailable' | 'deadline_exceeded',
  message: string,
): Problem {
  return new Problem(code, message, { headers: { 'retry-after': '1' } })
}

/** Made once: under overload there are thousands a second. */
export const OVERLOADED = shed('overloaded', 'Too many requests are waiting, try again later')

/** For a request that waited until its deadline. */
export const LATE = shed(
  'deadline_exceeded',
  'The request was not answered in time; a write may have happened',
)

/** For a client that has its share of something scarce. Made once, like the other. */
export const TOO_MANY_REQUESTS = new Problem(
  'too_many_requests',
  'This client has too many requests waiting, try again later',
  { headers: { 'retry-after': '1' } },
)
