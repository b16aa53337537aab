// Runs in listeners. Accounts: register and login.
import * as Type from '@sinclair/typebox'
import { loginOperations } from '../../db/logins.ts'
import {
  type Credentials,
  findCredentials,
  insertUser,
  type User as UserRow,
  updatePasswordHash,
  userOperations,
} from '../../db/users.ts'
import { needsRehash } from '../../workers/passwords/pool.ts'
import { Problem, unauthorized } from '../http/problem.ts'
import type { Call } from '../http/route.ts'
import { Text } from '../http/validate.ts'
import { type Context, defineRoute, type Resource } from './context.ts'
import {
  checkNewPassword,
  commonPassword,
  normalizePassword,
  PASSWORD_LENGTHS,
} from './passwords.ts'
import { EMAIL_EXAMPLES, EMAIL_LENGTH_MAX, Email, Instant, Uuid } from './schemas.ts'

const PASSWORD_EXAMPLES = ['correct horse']

const Registration = Type.Object(
  { email: Email, password: Text(PASSWORD_LENGTHS, { examples: PASSWORD_EXAMPLES }) },
  { $id: 'Registration', additionalProperties: false },
)

// Looser than a registration: a malformed address or a short password gets the one answer for wrong credentials.
const Login = Type.Object(
  {
    email: Text({ minLength: 1, maxLength: EMAIL_LENGTH_MAX }, { examples: EMAIL_EXAMPLES }),
    password: Text(
      { minLength: 1, maxLength: PASSWORD_LENGTHS.maxLength },
      { examples: PASSWORD_EXAMPLES },
    ),
  },
  { $id: 'Credentials', additionalProperties: false },
)

const User = Type.Object(
  { id: Uuid, email: Email, created_at: Instant } satisfies Record<keyof UserRow, Type.TSchema>,
  { $id: 'User' },
)

const Session = Type.Object(
  {
    token: Type.String({ description: 'JWT (HS256) to send as `Authorization: Bearer`' }),
    expires_at: Instant,
    user: User,
  },
  { $id: 'Session' },
)

/** A cache must not keep an answer that carries a token. */
const NO_STORE = { 'cache-control': 'no-store' }

const register = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/register',
  summary: 'Create an account',
  tag: 'auth',
  auth: false,
  priority: 'heavy',
  body: Registration,
  responses: { 201: { description: 'The account and a token', body: Session } },
  problems: ['conflict'],
  headers: NO_STORE,
  handle: async (context, call, { body: { email, password } }) => {
    const { queue, passwords, limits, report } = context
    const normalized = normalizePassword(password)
    checkNewPassword(normalized, email)
    const passwordHash = await passwords.hashUncommon(call, normalized)
    if (passwordHash === undefined) {
      report('password_refused', call)
      throw commonPassword()
    }
    const user = await insertUser(queue, call, { email, passwordHash })
    if (!user) throw new Problem('conflict', 'An account with this e-mail address already exists')
    await limits.remember(user.id, call.client)
    report('account_registered', call, user.id)
    return { status: 201, body: openSession(context, user) }
  },
})

const login = defineRoute({
  method: 'POST',
  path: '/api/v1/auth/login',
  summary: 'Get a token for an account',
  tag: 'auth',
  auth: false,
  priority: 'heavy',
  body: Login,
  responses: { 200: { description: 'The account and a token', body: Session } },
  problems: ['unauthorized', 'too_many_requests'],
  headers: NO_STORE,
  handle: async (context, call, { body }) => {
    const { log, report } = context
    let found: Credentials | undefined
    try {
      const attempt = context.limits.begin(call.client, body.email)
      found = await findCredentials(context.queue, call, body.email)
      await attempt.admit(found?.id)
      const match = await matchPassword(context, call, found, body.password)
      if (!found || !match) {
        await attempt.fail()
        report('login_failed', call, found?.id)
        throw unauthorized('Wrong e-mail address or password')
      }
      await attempt.succeed(found.id)
      if (match === 'stale') {
        // The login succeeds even when the hash is not renewed; the next login tries again.
        await renewHash(context, call, found, body.password).catch((err: unknown) =>
          log.warn(
            { request_id: call.requestId, trace_id: call.trace?.traceId, err },
            'Password hash was not renewed',
          ),
        )
      }
      report('login_succeeded', call, found.id)
      return { status: 200, body: openSession(context, found) }
    } catch (error) {
      if (error instanceof Problem && error.code === 'too_many_requests') {
        report('login_throttled', call, found?.id)
      }
      throw error
    }
  },
})

export const auth: Resource = {
  routes: [register, login],
  operations: [...userOperations, ...loginOperations],
}

/**
 * Whether the password matches, and whether its hash must be renewed. An unknown address costs the same verifications as a
 * wrong password. Versions before this one hashed what was typed as it was, so where the normalized form differs, both are
 * tried, whoever the account is.
 */
async function matchPassword(
  { passwords }: Context,
  call: Call,
  found: Credentials | undefined,
  password: string,
): Promise<'current' | 'stale' | undefined> {
  const hash = found?.password_hash
  const normalized = normalizePassword(password)
  if (await passwords.verify(call, normalized, hash)) {
    return hash !== undefined && needsRehash(hash) ? 'stale' : 'current'
  }
  if (normalized === password) return undefined
  return (await passwords.verify(call, password, hash)) ? 'stale' : undefined
}

async function renewHash(
  { passwords, queue }: Context,
  call: Call,
  { id: userId, password_hash: oldHash }: Credentials,
  password: string,
): Promise<void> {
  const newHash = await passwords.hash(call, normalizePassword(password))
  await updatePasswordHash(queue, call, { userId, oldHash, newHash })
}

function openSession({ tokens }: Context, { id, email, created_at }: UserRow) {
  const { token, expiresAt } = tokens.sign(id)
  return { token, expires_at: expiresAt, user: { id, email, created_at } }
}
