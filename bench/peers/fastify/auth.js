// Accounts: register and login.
import { randomUUID } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import { v7 as uuidv7 } from 'uuid'

/** Argon2id is the package's default algorithm. */
const COSTS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const TOKEN_LIFE_SECONDS = 24 * 60 * 60

const Registration = {
  type: 'object',
  additionalProperties: false,
  required: ['email', 'password'],
  properties: {
    email: { type: 'string', format: 'email', maxLength: 254 },
    password: { type: 'string', minLength: 8, maxLength: 128 },
  },
}

const Credentials = {
  type: 'object',
  additionalProperties: false,
  required: ['email', 'password'],
  properties: {
    email: { type: 'string', minLength: 1, maxLength: 254 },
    password: { type: 'string', minLength: 1, maxLength: 128 },
  },
}

const Session = {
  type: 'object',
  required: ['token', 'expires_at', 'user'],
  properties: {
    token: { type: 'string' },
    expires_at: { type: 'string' },
    user: {
      type: 'object',
      required: ['id', 'email', 'created_at'],
      properties: {
        id: { type: 'string' },
        email: { type: 'string' },
        created_at: { type: 'string' },
      },
    },
  },
}

export async function authRoutes(app) {
  const { sql } = app
  const decoy = await hash(randomUUID(), COSTS)

  const registerSchema = { body: Registration, response: { 201: Session } }
  app.post('/auth/register', { schema: registerSchema }, async (request, reply) => {
    const { email, password } = request.body
    const passwordHash = await hash(password, COSTS)
    const [user] = await sql`
      insert into users (id, email, password_hash) values (${uuidv7()}, ${email}, ${passwordHash})
      on conflict do nothing returning id, email, created_at`
    reply.code(user ? 201 : 409)
    return user
      ? openSession(user)
      : { error: 'There is already an account with this e-mail address' }
  })

  const loginSchema = { body: Credentials, response: { 200: Session } }
  app.post('/auth/login', { schema: loginSchema }, async (request, reply) => {
    const { email, password } = request.body
    const [user] = await sql`
      select id, email, created_at, password_hash from users
      where lower(email collate "C") = lower(${email} collate "C")`
    // An unknown address costs the same verification as a wrong password.
    const matches = await verify(user?.password_hash ?? decoy, password)
    if (user && matches) return openSession(user)
    reply.code(401)
    return { error: 'Wrong e-mail address or password' }
  })

  function openSession(user) {
    const exp = Math.floor(Date.now() / 1000) + TOKEN_LIFE_SECONDS
    const token = app.jwt.sign({ sub: user.id, exp })
    return { token, expires_at: new Date(exp * 1000).toISOString(), user }
  }
}
