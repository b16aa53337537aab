// Accounts: register and login.
import { randomUUID } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import { Router } from 'express'
import { v7 as uuidv7 } from 'uuid'
import { z } from 'zod'
import { HttpError } from './errors.js'

/** Argon2id is the package's default algorithm. */
const COSTS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

const Registration = z.strictObject({
  email: z.email().max(254),
  password: z.string().min(8).max(128),
})

const Credentials = z.strictObject({
  email: z.string().min(1).max(254),
  password: z.string().min(1).max(128),
})

const INSERT_USER = {
  name: 'insert_user',
  text: `insert into users (id, email, password_hash) values ($1, $2, $3)
    on conflict do nothing returning id, email, created_at`,
}

const FIND_CREDENTIALS = {
  name: 'find_credentials',
  text: `select id, email, created_at, password_hash from users
    where lower(email collate "C") = lower($1 collate "C")`,
}

export function authRouter(pool, tokens) {
  const router = Router()
  const decoy = hash(randomUUID(), COSTS)

  router.post('/register', async (req, res) => {
    const { email, password } = Registration.parse(req.body)
    const values = [uuidv7(), email, await hash(password, COSTS)]
    const { rows } = await pool.query({ ...INSERT_USER, values })
    if (rows.length === 0)
      throw new HttpError(409, 'There is already an account with this e-mail address')
    res.status(201).json(openSession(rows[0]))
  })

  router.post('/login', async (req, res) => {
    const { email, password } = Credentials.parse(req.body)
    const { rows } = await pool.query({ ...FIND_CREDENTIALS, values: [email] })
    // An unknown address costs the same verification as a wrong password.
    const matches = await verify(rows[0]?.password_hash ?? (await decoy), password)
    if (rows.length === 0 || !matches) throw new HttpError(401, 'Wrong e-mail address or password')
    res.json(openSession(rows[0]))
  })

  function openSession({ id, email, created_at }) {
    return { ...tokens.sign(id), user: { id, email, created_at } }
  }

  return router
}
