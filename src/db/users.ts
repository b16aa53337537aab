// Runs in listeners. The operations on accounts.
import { newId } from './id.ts'
import { type Operation, single } from './operation.ts'
import type { Call, Queue } from './queue.ts'

/** An account as clients see it; times are RFC 3339 UTC. */
export interface User {
  id: string
  email: string
  created_at: string
}

export interface Credentials extends User {
  password_hash: string
}

const operations = {
  insert: single({
    name: 'insert_user',
    parameters: { id: 'uuid', email: 'text', password_hash: 'text' },
    text: ({ id, email, password_hash }) => `
      insert into users (id, email, password_hash) values (${id}, ${email}, ${password_hash})
      on conflict do nothing
      returning id, email, created_at`,
    read: ([row]: readonly User[]) => row,
  }),
  findCredentials: single({
    name: 'find_credentials',
    parameters: { email: 'text' },
    lookup: { index: 'users_email_key', by: ['lower(email)'] },
    text: ({ email }) => `
      select id, email, created_at, password_hash from users where lower(email) = lower(${email})`,
    read: ([row]: readonly Credentials[]) => row,
  }),
  // The old hash guards against a second login that has renewed it meanwhile.
  updatePasswordHash: single({
    name: 'update_password_hash',
    parameters: { id: 'uuid', old_hash: 'text', new_hash: 'text' },
    lookup: { index: 'users_pkey', by: ['id'] },
    text: ({ id, old_hash, new_hash }) => `
      update users set password_hash = ${new_hash} where id = ${id} and password_hash = ${old_hash}
      returning id`,
    read: (rows: readonly object[]) => rows.length > 0,
  }),
}

/** Every operation on accounts, for whoever prepares or tests them all. */
export const userOperations: readonly Operation<never>[] = Object.values(operations)

/** The new account, or `undefined` when the address is taken (case-insensitive). */
export function insertUser(
  queue: Queue,
  call: Call,
  { email, passwordHash }: { email: string; passwordHash: string },
): Promise<User | undefined> {
  return queue.run(call, operations.insert, { id: newId(), email, password_hash: passwordHash })
}

/** The account and password hash of an address (case-insensitive). */
export function findCredentials(
  queue: Queue,
  call: Call,
  email: string,
): Promise<Credentials | undefined> {
  return queue.run(call, operations.findCredentials, { email })
}

/** Replaces `oldHash`. False when it is no longer the one in force, which changes nothing. */
export function updatePasswordHash(
  queue: Queue,
  call: Call,
  { userId, oldHash, newHash }: { userId: string; oldHash: string; newHash: string },
): Promise<boolean> {
  return queue.run(call, operations.updatePasswordHash, {
    id: userId,
    old_hash: oldHash,
    new_hash: newHash,
  })
}
