// Runs in listeners. The operations on accounts.
import { newId } from './id.ts'
import { firstRow, type Operation, single } from './operation.ts'
import type { Call, Queue } from './queue.ts'
import type { Columns, Row } from './row.ts'

const ID = { id: 'uuid' } as const satisfies Columns
const USER = { ...ID, email: 'text', created_at: 'timestamptz' } as const satisfies Columns
const CREDENTIALS = { ...USER, password_hash: 'text' } as const satisfies Columns

/** An account as clients see it; times are RFC 3339 UTC. */
export type User = Row<typeof USER>
export type Credentials = Row<typeof CREDENTIALS>

const operations = {
  insert: single({
    name: 'insert_user',
    purpose: 'insert',
    parameters: { id: 'uuid', email: 'text', password_hash: 'text' },
    text: ({ id, email, password_hash }) => `
      insert into users (id, email, password_hash) values (${id}, ${email}, ${password_hash})
      on conflict do nothing
      returning id, email::text, created_at`,
    columns: USER,
    reading: firstRow(USER),
  }),
  findCredentials: single({
    name: 'find_credentials',
    purpose: 'read',
    parameters: { email: 'text' },
    lookup: { index: 'users_email_ascii_key', by: ['lower((email)::text)'] },
    text: ({ email }) => `
      select id, email::text, created_at, password_hash::text from users
      where lower(email collate "C") = lower(${email} collate "C")`,
    columns: CREDENTIALS,
    reading: firstRow(CREDENTIALS),
  }),
  // The old hash guards against a second login that has renewed it meanwhile.
  updatePasswordHash: single({
    name: 'update_password_hash',
    purpose: 'change',
    parameters: { id: 'uuid', old_hash: 'text', new_hash: 'text' },
    lookup: { index: 'users_pkey', by: ['id'] },
    text: ({ id, old_hash, new_hash }) => `
      update users set password_hash = ${new_hash} where id = ${id} and password_hash = ${old_hash}
      returning id`,
    columns: ID,
    reading: firstRow(ID),
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
export async function updatePasswordHash(
  queue: Queue,
  call: Call,
  { userId, oldHash, newHash }: { userId: string; oldHash: string; newHash: string },
): Promise<boolean> {
  const input = { id: userId, old_hash: oldHash, new_hash: newHash }
  return (await queue.run(call, operations.updatePasswordHash, input)) !== undefined
}
