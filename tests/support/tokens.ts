// Tokens as the service issues them, and others.
import { createHmac, randomUUID } from 'node:crypto'
import { keyIdOf } from '../../src/server/api/tokens.ts'
import { JWT_SECRET } from './service.ts'

export interface Claims {
  iss?: string | undefined
  aud?: string | undefined
  sub?: string | undefined
  jti?: string | undefined
  iat?: number | undefined
  exp?: number | undefined
  nbf?: number | undefined
}

/** What a token of the account says that is valid for a minute. */
export function claimsOf(userId: string): Claims & { sub: string } {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: 'taskapi',
    aud: 'taskapi',
    sub: userId,
    jti: randomUUID(),
    iat: now,
    exp: now + 60,
  }
}

/** A token with any claims and header. `secret` is named in it, and signs it unless there is another `signer`. */
export function signed(
  claims: Claims,
  options: { secret?: string; signer?: string; header?: object } = {},
): string {
  const { secret = JWT_SECRET, signer = secret, header = {} } = options
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const full = { alg: 'HS256', typ: 'at+jwt', kid: keyIdOf(secret), ...header }
  const text = `${encode(full)}.${encode(claims)}`
  return `${text}.${createHmac('sha256', signer).update(text).digest('base64url')}`
}
