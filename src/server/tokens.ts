// Runs in listeners. Signs and verifies the bearer tokens (JWT, HS256).
import { createSigner, createVerifier } from 'fast-jwt'
import { unauthorized } from './errors.ts'

const SECONDS_PER_HOUR = 3600
const BEARER = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i
const UUID = /^[0-9a-f-]{36}$/

export interface Tokens {
  /** A token for the account, and when it ends (RFC 3339). */
  sign(userId: string): { token: string; expiresAt: string }
  /** The account of an `Authorization` header's token. Throws `unauthorized`. */
  verify(authorization: string): string
}

export function createTokens(options: { secret: string; lifeHours: number }): Tokens {
  const lifeSeconds = options.lifeHours * SECONDS_PER_HOUR
  const signToken = createSigner({ key: options.secret, algorithm: 'HS256' })
  const verifyToken = createVerifier({
    key: options.secret,
    algorithms: ['HS256'],
    // Without exp in the list, a token that has none would be good for ever.
    requiredClaims: ['sub', 'iat', 'exp'],
  })

  function sign(userId: string) {
    const issuedAt = Math.floor(Date.now() / 1000)
    const expiresAt = issuedAt + lifeSeconds
    const token = signToken({ sub: userId, iat: issuedAt, exp: expiresAt })
    return { token, expiresAt: new Date(expiresAt * 1000).toISOString() }
  }

  function verify(authorization: string): string {
    if (authorization === '') throw unauthorized('A bearer token is required')
    const token = BEARER.exec(authorization)?.[1]
    if (!token) throw invalidToken()
    let subject: unknown
    try {
      subject = verifyToken(token).sub
    } catch {
      throw invalidToken()
    }
    if (typeof subject !== 'string' || !UUID.test(subject)) throw invalidToken()
    return subject
  }

  return { sign, verify }
}

function invalidToken() {
  return unauthorized('The token is not valid or has expired', 'Bearer error="invalid_token"')
}
