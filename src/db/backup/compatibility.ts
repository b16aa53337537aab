// Runs in the command `restore`. Which backups this version can bring back: its own, and those of versions before it.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Header } from './format.ts'
import type { Table } from './tables.ts'

/** Throws for a backup that has seen a migration which is not in `folder`, or not with this content. */
export function requireKnownMigrations(header: Header, folder: string): void {
  const checksums = new Map(
    readdirSync(folder)
      .filter((file) => file.endsWith('.sql'))
      .map((file) => [file.slice(0, -'.sql'.length), checksumsOf(join(folder, file))]),
  )
  for (const { name, checksum } of header.migrations) {
    const known = checksums.get(name)
    if (!known) {
      const version = header.service_version
      throw new Error(
        `The backup is of a newer version (${version}): this one does not know its migration "${name}"`,
      )
    }
    if (!known.includes(checksum)) {
      throw new Error(`The backup is of another service: its migration "${name}" has other content`)
    }
  }
}

/** As it is recorded now, and as earlier versions recorded it: with the line ends of their checkout. */
function checksumsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replaceAll('\r\n', '\n')
  return [text, text.replaceAll('\n', '\r\n')].map((each) =>
    createHash('sha256').update(each).digest('hex'),
  )
}

/** Throws when the database has no place for what the backup has. Columns that only the database has get their default. */
export function requireColumns(header: Header, tables: readonly Table[]): void {
  for (const { name, columns } of header.tables) {
    const table = tables.find((candidate) => candidate.name === name)
    if (!table)
      throw new Error(`The backup has a table "${name}", which this version does not have`)
    const missing = columns.find((column) => !table.columns.includes(column))
    if (missing !== undefined) {
      throw new Error(
        `The backup has a column "${name}.${missing}", which the database does not have`,
      )
    }
  }
}
