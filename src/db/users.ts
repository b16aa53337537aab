// Runs in listeners. The statements on accounts.
import { type Database, type Statement, statement } from './driver/client.ts'
import { newId } from './id.ts'

/** An account as clients see it; times are RFC 3339 UTC. */
export interface UserRow {
  id: string
  email: string
  created_at: string
}

export interface CredentialsRow extends UserRow {
  password_hash: string
}

const INSERT_USER = statement(`
  insert into users (id, email, password_hash) values ($1, $2, $3)
  on conflict do nothing
  returning id, email, created_at`)

const FIND_CREDENTIALS = statement(`
  select id, email, created_at, password_hash from users where lower(email) = lower($1)`)

// The old hash guards against a second login that has renewed it meanwhile.
const UPDATE_PASSWORD_HASH = statement(`
  update users set password_hash = $3 where id = $1 and password_hash = $2 returning id`)

export const USER_STATEMENTS = {
  INSERT_USER,
  FIND_CREDENTIALS,
  UPDATE_PASSWORD_HASH,
} satisfies Record<string, Statement>

/** The new account, or `undefined` when the address is taken (case-insensitive). */
export async function insertUser(
  db: Database,
  user: { email: string; passwordHash: string },
): Promise<UserRow | undefined> {
  const rows = await db.run<UserRow>(INSERT_USER, [newId(), user.email, user.passwordHash])
  return rows[0]
}

/** The account and password hash of an address (case-insensitive). */
export async function findCredentials(
  db: Database,
  email: string,
): Promise<CredentialsRow | undefined> {
  const rows = await db.run<CredentialsRow>(FIND_CREDENTIALS, [email])
  return rows[0]
}

/** Replaces `oldHash`; does nothing when it is no longer the one in force. */
export async function updatePasswordHash(
  db: Database,
  userId: string,
  oldHash: string,
  newHash: string,
): Promise<void> {
  await db.run(UPDATE_PASSWORD_HASH, [userId, oldHash, newHash])
}
