// Backups for tests, real ones and forged ones.
import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import { runCommand } from './command.ts'
import type { TestDatabase } from './database.ts'

export async function addRows(
  database: TestDatabase,
  users: number,
  tasksOfEach: number,
): Promise<void> {
  await database.query(`
    insert into users (id, email, password_hash)
    select gen_random_uuid(), n || '@example.com', repeat('h', 90) from generate_series(1, ${users}) n`)
  await database.query(`
    insert into tasks (user_id, id, title, description, updated_at)
    select id, gen_random_uuid(), 'Task ' || n, repeat('d', 200), now() - n * interval '1 day'
    from users, generate_series(1, ${tasksOfEach}) n`)
}

/** The lines of a backup, without their line ends. */
export async function backUp(database: { url: string }): Promise<string[]> {
  const { code, stdout, stderr } = await runCommand(database.url, ['backup'])
  expect(stderr).toContain('Backed up')
  expect(code).toBe(0)
  return stdout.toString().split('\n').slice(0, -1)
}

export function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}

/** What must not differ between two backups: the time is in the header, and so in the checksum. */
export function rowsOf(lines: readonly string[]): readonly string[] {
  return lines.slice(1, -1)
}

/** Lines, with a last one that fits them. */
export function seal(lines: readonly string[]): string {
  const [header = '', ...rest] = lines
  const rows: Record<string, number> = {}
  for (const { name } of JSON.parse(header).tables) rows[name] = 0
  for (const line of rest) {
    const { table } = JSON.parse(line)
    rows[table] = (rows[table] ?? 0) + 1
  }
  const text = joinLines(lines)
  const sha256 = createHash('sha256').update(text).digest('hex')
  return `${text}${JSON.stringify({ rows, sha256 })}\n`
}
