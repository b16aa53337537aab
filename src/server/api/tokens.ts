// Runs in listeners. Signs and verifies the bearer tokens (JWT, HS256).
import { createSigner, createVerifier } from 'fast-jwt'
import { unauthorized } from '../http/problem.ts'

const SECONDS_PER_HOUR = 3600
const BEARER = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i
const UUID = /^[0-9a-f-]{36}$/
/** Tokens in each of the two generations of the cache; together they take about a megabyte. */
const GENERATION_SIZE = 1024

export interface Tokens {
  /** A token for the account, and when it expires (RFC 3339). */
  sign(userId: string): { token: string; expiresAt: string }
  /** The account of an `Authorization` header's token. Throws `unauthorized`. */
  verify(authorization: string): string
}

/** What a verified token says. */
interface Claims {
  userId: string
  expiresAtMs: number
}

export interface TokenOptions {
  /** The HS256 key. */
  secret: string
  lifetimeHours: number
}

export function createTokens(options: TokenOptions): Tokens {
  const lifetimeSeconds = options.lifetimeHours * SECONDS_PER_HOUR
  const signToken = createSigner({ key: options.secret, algorithm: 'HS256' })
  const readClaims = createReader(options.secret)
  // The whole header is the key, so a header that differs in any byte is verified anew. Failures are not kept.
  const known = new RecentMap<Claims>(GENERATION_SIZE)

  function sign(userId: string) {
    const issuedAt = Math.floor(Date.now() / 1000)
    const expiresAt = issuedAt + lifetimeSeconds
    const token = signToken({ sub: userId, iat: issuedAt, exp: expiresAt })
    return { token, expiresAt: new Date(expiresAt * 1000).toISOString() }
  }

  function verify(authorization: string): string {
    let claims = known.get(authorization)
    if (!claims) {
      claims = readClaims(authorization)
      known.set(authorization, claims)
    } else if (claims.expiresAtMs <= Date.now()) {
      throw invalidToken()
    }
    return claims.userId
  }

  return { sign, verify }
}

/** Makes the function that verifies an `Authorization` header. It throws `unauthorized`. */
function createReader(secret: string): (authorization: string) => Claims {
  const verifyToken = createVerifier({
    key: secret,
    algorithms: ['HS256'],
    // If exp were not in the list, a token without it would never expire.
    requiredClaims: ['sub', 'iat', 'exp'],
  })
  return (authorization) => {
    if (authorization === '') throw unauthorized('A bearer token is required')
    const token = BEARER.exec(authorization)?.[1]
    if (!token) throw invalidToken()
    let payload: { sub?: unknown; exp?: unknown }
    try {
      payload = verifyToken(token)
    } catch {
      throw invalidToken()
    }
    const { sub, exp } = payload
    if (typeof sub !== 'string' || !UUID.test(sub)) throw invalidToken()
    return { userId: sub, expiresAtMs: Number(exp) * 1000 }
  }
}

/** Keeps what was used last: when the young generation is full, it replaces the old one, which is forgotten. */
class RecentMap<Value> {
  readonly #size: number
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()

  constructor(size: number) {
    this.#size = size
  }

  get(key: string): Value | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const older = this.#old.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#size) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}

function invalidToken() {
  return unauthorized('The token is not valid or has expired', 'Bearer error="invalid_token"')
}
