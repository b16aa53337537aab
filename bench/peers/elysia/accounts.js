// Accounts: register and login.
import { Elysia, t } from 'elysia'
import { toRfc3339 } from './db.js'
import { Refusal } from './errors.js'

/** OWASP's costs; Bun's own parallelism is 1. */
const COSTS = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 }
/** Passwords that are hashed or wait for it; more are turned away. */
const HASHING_MAX = 256

const Registration = t.Object(
  {
    email: t.String({ format: 'email', maxLength: 254 }),
    password: t.String({ minLength: 8, maxLength: 128 }),
  },
  { additionalProperties: false },
)

const Credentials = t.Object(
  {
    email: t.String({ minLength: 1, maxLength: 254 }),
    password: t.String({ minLength: 1, maxLength: 128 }),
  },
  { additionalProperties: false },
)

export async function accountRoutes(sql, tokens) {
  const decoy = await Bun.password.hash(crypto.randomUUID(), COSTS)
  let hashing = 0

  return new Elysia({ prefix: '/auth', normalize: false })
    .post('/register', register, { body: Registration })
    .post('/login', login, { body: Credentials })

  async function register({ body: { email, password }, set }) {
    const passwordHash = await onThread(() => Bun.password.hash(password, COSTS))
    const [user] = await sql`
      insert into users (id, email, password_hash)
      values (${Bun.randomUUIDv7()}, ${email}, ${passwordHash})
      on conflict do nothing returning id, email, created_at::text as created_at`
    if (!user) throw new Refusal(409, 'There is already an account with this e-mail address')
    set.status = 201
    return openSession(user)
  }

  async function login({ body: { email, password } }) {
    const [user] = await sql`
      select id, email, created_at::text as created_at, password_hash from users
      where lower(email collate "C") = lower(${email} collate "C")`
    // An unknown address costs the same verification as a wrong password.
    const stored = user?.password_hash ?? decoy
    const matches = await onThread(() => Bun.password.verify(password, stored))
    if (!user || !matches) throw new Refusal(401, 'Wrong e-mail address or password')
    return openSession(user)
  }

  function openSession({ id, email, created_at }) {
    return { ...tokens.sign(id), user: { id, email, created_at: toRfc3339(created_at) } }
  }

  async function onThread(work) {
    if (hashing >= HASHING_MAX) throw new Refusal(503, 'Too many passwords are being checked')
    hashing += 1
    try {
      return await work()
    } finally {
      hashing -= 1
    }
  }
}
