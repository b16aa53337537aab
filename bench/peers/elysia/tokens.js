// Tokens of accounts.
import { createSigner, createVerifier } from 'fast-jwt'
import { Refusal } from './errors.js'

const TOKEN_LIFE_SECONDS = 24 * 60 * 60
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function createTokens(secret) {
  const sign = createSigner({ key: secret, algorithm: 'HS256' })
  // Verified tokens are remembered until they expire.
  const verify = createVerifier({
    key: secret,
    algorithms: ['HS256'],
    requiredClaims: ['sub', 'exp'],
    cache: 10_000,
  })

  return {
    /** A token for the account, and when it expires. */
    sign(userId) {
      const exp = Math.floor(Date.now() / 1000) + TOKEN_LIFE_SECONDS
      return { token: sign({ sub: userId, exp }), expires_at: new Date(exp * 1000).toISOString() }
    },

    /** The account of an Authorization header. */
    verify(header) {
      if (header === undefined || !/^bearer /i.test(header)) {
        throw new Refusal(401, 'A bearer token is required')
      }
      const userId = subjectOf(header.slice('bearer '.length).trim())
      if (!UUID.test(userId)) throw new Refusal(401, 'The token does not name an account')
      return userId
    },
  }

  function subjectOf(token) {
    try {
      return verify(token).sub
    } catch {
      throw new Refusal(401, 'The token is not valid or has expired')
    }
  }
}
