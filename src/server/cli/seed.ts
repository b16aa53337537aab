// Runs in the process that the user started: the command `seed`.
import { randomBytes } from 'node:crypto'
import type { Address } from '../../db/address.ts'
import { migrate } from '../../db/migrate.ts'
import { emailOf } from '../../db/seed/rows.ts'
import { addSeed } from '../../db/seed/seed.ts'
import type { Config } from '../config/config.ts'
import { MIGRATIONS_FOLDER } from '../root.ts'
import { describeRows, showProgress } from './progress.ts'
import { withDatabase } from './target.ts'

const PASSWORD_BYTES = 12
const DAY_MS = 86_400_000

export interface SeedArguments {
  users: number
  tasks: number
  seed: number
}

/**
 * Adds made-up accounts and tasks, and prints the password that all these accounts have, which is kept nowhere. Loads what
 * hashes it only now: the other commands have no use for it, nor for the schema library that comes with it.
 */
export async function seed(wanted: SeedArguments): Promise<void> {
  if (wanted.users === 0) throw new Error('Cannot seed: --users must be at least 1')
  await withDatabase({ failure: 'Cannot seed' }, async (address, config) => {
    await prepareTables(address, config)
    const password = randomBytes(PASSWORD_BYTES).toString('base64url')
    const { hashAlone } = await import('../api/passwords.ts')
    const passwordHash = await hashAlone(password)
    // Midnight, so that the rows of one day are the same.
    const plan = { ...wanted, endMs: Math.floor(Date.now() / DAY_MS) * DAY_MS }
    const progress = showProgress((rows) => rows / (wanted.users + wanted.tasks))
    const onRows = (rows: number) => progress.add(rows)
    const startMs = performance.now()
    const { rows, isBesideOthers } = await addSeed(address, plan, { passwordHash, onRows }).finally(
      () => progress.stop(),
    )
    const seconds = Math.ceil((performance.now() - startMs) / 1000)
    const others = isBesideOthers ? ', beside others, which stay as they were' : ''
    process.stderr.write(`Added ${describeRows(rows)} in ${seconds} s${others}\n`)
    process.stdout.write(`The password of each of them: ${password}\n`)
    process.stdout.write(`The one with most tasks: ${emailOf(wanted.seed, 0)}\n`)
  })
}

/** As the service would at its start. */
async function prepareTables(
  address: Address,
  { MIGRATE: mode, STARTUP_TIMEOUT_MS: timeoutMs }: Config,
): Promise<void> {
  if (mode === 'off') return
  const onApplied = () => undefined
  await migrate({ address, folder: MIGRATIONS_FOLDER, mode, timeoutMs, onApplied })
}
