// Bearer tokens: JWT, HS256.
import { createSecretKey } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { validate } from 'uuid'
import { HttpError } from './errors.js'

const LIFE_SECONDS = 24 * 60 * 60
const BEARER = /^Bearer (\S+)$/i

export function createTokens(secret) {
  // From a text, jsonwebtoken would make the key anew for every token.
  const key = createSecretKey(Buffer.from(secret))

  function sign(userId) {
    const exp = Math.floor(Date.now() / 1000) + LIFE_SECONDS
    const token = jwt.sign({ sub: userId, exp }, key, { algorithm: 'HS256' })
    return { token, expires_at: new Date(exp * 1000).toISOString() }
  }

  function verify(token) {
    try {
      return jwt.verify(token, key, { algorithms: ['HS256'] }).sub
    } catch {
      return undefined
    }
  }

  /** Middleware: leaves the account's id in `req.userId`. */
  function requireUser(req, _res, next) {
    const token = BEARER.exec(req.headers.authorization)?.[1]
    if (!token) throw new HttpError(401, 'A bearer token is required')
    const userId = verify(token)
    if (!validate(userId)) throw new HttpError(401, 'The token is not valid or has expired')
    req.userId = userId
    next()
  }

  return { sign, requireUser }
}
