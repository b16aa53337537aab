// Runs in listeners. The operations on failed logins, and on the clients that accounts have logged in from.
import { firstRow, type Operation, single } from './operation.ts'
import type { Call, Queue } from './queue.ts'
import { type Columns, isNull, type Row, readRow } from './row.ts'

const COUNT = { failures: 'int' } as const satisfies Columns
const FAILURES = { ...COUNT, ms_left: 'int' } as const satisfies Columns
const KEYED = { key: 'text', ...FAILURES } as const satisfies Columns
const CLIENT = { is_recent: 'int' } as const satisfies Columns

/** How often a key has failed, and when that is forgotten. */
export type Failures = Row<typeof FAILURES>

const NO_FAILURES: ReadonlyMap<string, Failures> = new Map()

// The clock is PostgreSQL's, so that those of the nodes need not agree.
const operations = {
  findFailures: single({
    name: 'find_login_failures',
    purpose: 'read',
    parameters: { own: 'text', account: 'text', client: 'text' },
    lookup: { index: 'login_failures_pkey', by: ['key'] },
    text: ({ own, account, client }) => `
      select key::text, failures, (extract(epoch from expires_at - now()) * 1000)::int as ms_left
      from (values (${own}), (${account}), (${client})) as wanted (key)
      join login_failures using (key) where expires_at > now()`,
    columns: KEYED,
    reading: {
      start: NO_FAILURES,
      row: (found, bytes, fields) => {
        if (isNull(fields, 1)) return found
        const row = readRow(KEYED, bytes, fields)
        return new Map(found).set(row.key, row)
      },
      end: (found) => found,
    },
  }),
  insertFailures: single({
    name: 'insert_login_failures',
    purpose: 'insert',
    parameters: { key: 'text', failures: 'int', window_ms: 'int' },
    text: ({ key, failures, window_ms }) => `
      insert into login_failures as kept (key, failures, expires_at)
      values (${key}, ${failures}, now() + ${window_ms} * interval '1 millisecond')
      on conflict (key) do update set
        failures = excluded.failures
          + case when kept.expires_at > now() then kept.failures else 0 end,
        expires_at = case when kept.expires_at > now() then kept.expires_at else excluded.expires_at end
      returning failures, (extract(epoch from expires_at - now()) * 1000)::int as ms_left`,
    columns: FAILURES,
    reading: firstRow(FAILURES),
  }),
  deleteFailures: single({
    name: 'delete_login_failures',
    purpose: 'change',
    parameters: { key: 'text' },
    lookup: { index: 'login_failures_pkey', by: ['key'] },
    text: ({ key }) => `delete from login_failures where key = ${key} returning failures`,
    columns: COUNT,
    reading: firstRow(COUNT),
  }),
  findClient: single({
    name: 'find_familiar_client',
    purpose: 'read',
    parameters: { user_id: 'uuid', client: 'text' },
    lookup: { index: 'familiar_clients_pkey', by: ['user_id', 'client'] },
    text: ({ user_id, client }) => `
      select (last_login_at > now() - interval '1 day')::int as is_recent from familiar_clients
      where user_id = ${user_id} and client = ${client}
        and last_login_at > now() - interval '90 days'`,
    columns: CLIENT,
    reading: firstRow(CLIENT),
  }),
  insertClient: single({
    name: 'insert_familiar_client',
    purpose: 'insert',
    parameters: { user_id: 'uuid', client: 'text' },
    text: ({ user_id, client }) => `
      insert into familiar_clients (user_id, client) values (${user_id}, ${client})
      on conflict (user_id, client) do update set last_login_at = now()
      returning 1 as is_recent`,
    columns: CLIENT,
    violations: { familiar_clients_user_id_fkey: 'account_gone' },
    reading: firstRow(CLIENT),
  }),
}

/** Every operation on logins, for whoever prepares or tests them all. */
export const loginOperations: readonly Operation<never>[] = Object.values(operations)

/** Under which keys a login can have failed before; null where it has none. */
export interface LoginKeys {
  own: string
  account: string
  client: string | null
}

/** The failures that are not forgotten yet, by their keys. */
export function findLoginFailures(
  queue: Queue,
  call: Call,
  { own, account, client }: LoginKeys,
): Promise<ReadonlyMap<string, Failures>> {
  return queue.run(call, operations.findFailures, { own, account, client })
}

/** Adds to the failures of a key. The first of them says when all are forgotten: after `windowMs`. */
export async function insertLoginFailures(
  queue: Queue,
  call: Call,
  { key, failures, windowMs }: { key: string; failures: number; windowMs: number },
): Promise<Failures> {
  const input = { key, failures, window_ms: windowMs }
  const counted = await queue.run(call, operations.insertFailures, input)
  if (!counted) throw new Error('PostgreSQL did not say how many logins have failed')
  return counted
}

/** False when there were none. */
export async function deleteLoginFailures(queue: Queue, call: Call, key: string): Promise<boolean> {
  return (await queue.run(call, operations.deleteFailures, { key })) !== undefined
}

/** Whether the account has logged in from this client in the last ninety days, and whether it did so today. */
export async function findFamiliarClient(
  queue: Queue,
  call: Call,
  { userId, client }: { userId: string; client: string },
): Promise<'recent' | 'known' | undefined> {
  const row = await queue.run(call, operations.findClient, { user_id: userId, client })
  if (!row) return undefined
  return row.is_recent === 1 ? 'recent' : 'known'
}

/** Remembers that the account has logged in from this client. */
export async function insertFamiliarClient(
  queue: Queue,
  call: Call,
  { userId, client }: { userId: string; client: string },
): Promise<void> {
  await queue.run(call, operations.insertClient, { user_id: userId, client })
}
