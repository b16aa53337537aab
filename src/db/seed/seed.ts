// Runs in the command `seed`. Adds made-up accounts and tasks to a database: all of them, or none.
import type { Address } from '../address.ts'
import { createRowWriter } from '../backup/rows.ts'
import { inTransaction, type Session } from '../backup/session.ts'
import { quoteText, readTables } from '../backup/tables.ts'
import { emailOf, type Plan, seedRows } from './rows.ts'

const WRITING = { mode: 'read committed, read write', applicationName: 'taskapi seed' } as const

export interface SeedOptions {
  /** Of the one password that all accounts have. */
  passwordHash: string
  onRows: (rows: number) => void
}

export interface Seeded {
  /** How many were added, by table. */
  rows: Record<string, number>
  /** Whether there were accounts before. */
  isBesideOthers: boolean
}

/** Rejects, and adds nothing, when anything is wrong, such as a seed whose accounts are there already. */
export async function addSeed(
  address: Address,
  plan: Plan,
  { passwordHash, onRows }: SeedOptions,
): Promise<Seeded> {
  return inTransaction(address, WRITING, async (session) => {
    await requireNewSeed(session, plan.seed)
    const others = await session.query('select from users limit 1')
    const tables = await readTables(session)
    const writer = createRowWriter(session, tables, onRows)
    let number = 0
    for (const row of seedRows(plan, passwordHash)) {
      number += 1
      await writer.write(row, number)
    }
    const { users = 0, tasks = 0 } = await writer.end()
    // What the planner knows of the tables is of before.
    await session.query('analyze users, tasks')
    return { rows: { users, tasks }, isBesideOthers: others.length > 0 }
  })
}

/** The first account of a seed is the same for any number of accounts. */
async function requireNewSeed(session: Session, seed: number): Promise<void> {
  const email = quoteText(emailOf(seed, 0))
  const found = await session.query(
    `select from users where lower(email collate "C") = lower(${email} collate "C")`,
  )
  if (found.length > 0) {
    throw new Error(`The accounts of seed ${seed} are there already; fix: choose another --seed`)
  }
}
