// Runs in listeners. Accounts: register and login.
import * as Type from '@sinclair/typebox'
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
import { EMAIL_EXAMPLES, EMAIL_LENGTH_MAX, Email, Instant, Uuid } from './schemas.ts'

const PASSWORD = { minLength: 8, maxLength: 128 }
const PASSWORD_EXAMPLES = ['correct horse']

const Registration = Type.Object(
  { email: Email, password: Text(PASSWORD, { examples: PASSWORD_EXAMPLES }) },
  { $id: 'Registration', additionalProperties: false },
)

// Looser than a registration: a malformed address or a short password gets the one answer for wrong credentials.
const Login = Type.Object(
  {
    email: Text({ minLength: 1, maxLength: EMAIL_LENGTH_MAX }, { examples: EMAIL_EXAMPLES }),
    password: Text(
      { minLength: 1, maxLength: PASSWORD.maxLength },
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
    const passwordHash = await context.passwords.hash(call, password)
    const user = await insertUser(context.queue, call, { email, passwordHash })
    if (!user) throw new Problem('conflict', 'An account with this e-mail address already exists')
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
  problems: ['unauthorized'],
  headers: NO_STORE,
  handle: async (context, call, { body: { email, password } }) => {
    const { queue, passwords, log } = context
    const found = await findCredentials(queue, call, email)
    // An unknown address costs the same verification as a wrong password.
    const matches = await passwords.verify(call, password, found?.password_hash)
    if (!found || !matches) throw unauthorized('Wrong e-mail address or password')
    if (needsRehash(found.password_hash)) {
      // The login succeeds even when the hash is not renewed; the next login tries again.
      await renewHash(context, call, found, password).catch((err: unknown) =>
        log.warn({ request_id: call.requestId, err }, 'Password hash was not renewed'),
      )
    }
    return { status: 200, body: openSession(context, found) }
  },
})

export const auth: Resource = { routes: [register, login], operations: userOperations }

async function renewHash(
  { passwords, queue }: Context,
  call: Call,
  { id: userId, password_hash: oldHash }: Credentials,
  password: string,
): Promise<void> {
  const newHash = await passwords.hash(call, password)
  await updatePasswordHash(queue, call, { userId, oldHash, newHash })
}

function openSession({ tokens }: Context, { id, email, created_at }: UserRow) {
  const { token, expiresAt } = tokens.sign(id)
  return { token, expires_at: expiresAt, user: { id, email, created_at } }
}
