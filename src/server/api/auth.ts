// Runs in listeners. Accounts: register and login.
import * as Type from '@sinclair/typebox'
import { findCredentials, insertUser, type UserRow, updatePasswordHash } from '../../db/users.ts'
import { needsRehash } from '../../workers/passwords/pool.ts'
import { ApiError, unauthorized } from '../http/problem.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Context } from './context.ts'
import { Email, Session, Text } from './schemas.ts'

const PASSWORD = { minLength: 8, maxLength: 128 }

const Registration = Type.Object(
  { email: Email, password: Text(PASSWORD, { examples: ['correct horse'] }) },
  { $id: 'Registration', additionalProperties: false },
)

// Looser than a registration, so that a wrong password of any length gets the one answer for wrong passwords.
const Credentials = Type.Object(
  {
    email: Text({ minLength: 1, maxLength: 254 }, { examples: ['ada@example.com'] }),
    password: Text(
      { minLength: 1, maxLength: PASSWORD.maxLength },
      { examples: ['correct horse'] },
    ),
  },
  { $id: 'Credentials', additionalProperties: false },
)

/** What carries a token must not be kept by a cache. */
const NO_STORE = { 'cache-control': 'no-store' }

const register = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/register',
  summary: 'Create an account',
  tag: 'auth',
  auth: false,
  body: Registration,
  success: { status: 201, description: 'The account and a token', schema: Session },
  errors: ['conflict'],
  headers: NO_STORE,
  handle: async (context, { body }) => {
    const passwordHash = await context.passwords.hash(body.password)
    const user = await insertUser(context.db, { email: body.email, passwordHash })
    if (!user)
      throw new ApiError('conflict', 'There is already an account with this e-mail address')
    return openSession(context, user)
  },
})

const login = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/login',
  summary: 'Get a token for an account',
  tag: 'auth',
  auth: false,
  body: Credentials,
  success: { status: 200, description: 'The account and a token', schema: Session },
  errors: ['unauthorized'],
  headers: NO_STORE,
  handle: async (context, { body, requestId }) => {
    const { db, passwords, log } = context
    const found = await findCredentials(db, body.email)
    // An unknown address costs the same verification as a wrong password.
    const matches = await passwords.verify(body.password, found?.password_hash)
    if (!found || !matches) throw unauthorized('Wrong e-mail address or password')
    if (needsRehash(found.password_hash)) {
      // The login counts, renewed or not: the next one will try again.
      await renewHash(context, found.id, found.password_hash, body.password).catch((err: unknown) =>
        log.warn({ request_id: requestId, err }, 'Password hash was not renewed'),
      )
    }
    return openSession(context, found)
  },
})

export const authRoutes: readonly Route[] = [register, login]

async function renewHash(context: Context, userId: string, oldHash: string, password: string) {
  const newHash = await context.passwords.hash(password)
  await updatePasswordHash(context.db, userId, oldHash, newHash)
}

function openSession(context: Context, { id, email, created_at }: UserRow) {
  const { token, expiresAt } = context.tokens.sign(id)
  return { token, expires_at: expiresAt, user: { id, email, created_at } }
}
