// Runs in the process that the user started. The files of migrations, and how they compare with what a database records.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { SetupError } from './setup-error.ts'

const FILE_NAME = /^\d{4}_\w+\.sql$/
const NUMBER_LENGTH = 4

export interface MigrationFile {
  /** Without `.sql`. */
  readonly name: string
  readonly text: string
}

/** What a database records of a migration that was applied. */
export interface MigrationRecord {
  readonly checksum: string
  /** ISO 8601, in UTC. */
  readonly appliedAt: string
}

/**
 * - `edited`: the file was changed after it had been applied.
 * - `missing`: it was applied, but has no file here.
 * - `newer`: a later version has applied it; nodes of both run side by side while one is rolled out or back.
 */
export type MigrationState = 'applied' | 'pending' | 'edited' | 'missing' | 'newer'

export interface Migration {
  readonly name: string
  readonly state: MigrationState
  /** Absent for one that is pending. */
  readonly appliedAt?: string
}

/** The migrations of the folder in their order. Throws when that order is not clear from their names. */
export function readMigrationFiles(folder: string): MigrationFile[] {
  const files = readdirSync(folder)
    .filter((file) => file.toLowerCase().endsWith('.sql'))
    .sort()
  for (const [index, file] of files.entries()) {
    if (!FILE_NAME.test(file)) {
      throw new SetupError(`Cannot migrate: "${file}" is not named like "0001_name.sql"`)
    }
    const previous = files[index - 1]
    if (previous?.startsWith(file.slice(0, NUMBER_LENGTH))) {
      throw new SetupError(`Cannot migrate: "${previous}" and "${file}" have the same number`)
    }
  }
  return files.map((file) => ({
    name: basename(file, '.sql'),
    // Line ends are the checkout's, and must not decide what is run or recorded.
    text: readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n'),
  }))
}

/** Every migration that has a file or a record, in the order of the names. */
export function compareMigrations(
  files: readonly MigrationFile[],
  records: ReadonlyMap<string, MigrationRecord>,
): Migration[] {
  const last = files.at(-1)?.name ?? ''
  const names = new Set(files.map(({ name }) => name))
  const withoutFile = [...records]
    .filter(([name]) => !names.has(name))
    .map(([name, { appliedAt }]): Migration => {
      return { name, state: name < last ? 'missing' : 'newer', appliedAt }
    })
  const withFile = files.map((file): Migration => {
    const record = records.get(file.name)
    if (!record) return { name: file.name, state: 'pending' }
    const state = isRecordOf(record, file) ? 'applied' : 'edited'
    return { name: file.name, state, appliedAt: record.appliedAt }
  })
  return [...withFile, ...withoutFile].sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** The files that are to be applied. Throws when one was edited since it was applied, or is missing. */
export function listPending(
  files: readonly MigrationFile[],
  records: ReadonlyMap<string, MigrationRecord>,
): MigrationFile[] {
  const migrations = compareMigrations(files, records)
  for (const { name, state } of migrations) {
    if (state === 'missing') {
      throw new SetupError(
        `Cannot migrate: the database has "${name}", but its file is missing here`,
      )
    }
    if (state === 'edited') {
      throw new SetupError(`Cannot migrate: "${name}.sql" was edited after it had been applied`)
    }
  }
  const pending = new Set(
    migrations.filter(({ state }) => state === 'pending').map(({ name }) => name),
  )
  return files.filter(({ name }) => pending.has(name))
}

/** Earlier versions recorded the line ends of their checkout. */
function isRecordOf({ checksum }: MigrationRecord, { text }: MigrationFile): boolean {
  return checksum === checksumOf(text) || checksum === checksumOf(text.replaceAll('\n', '\r\n'))
}

export function checksumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
