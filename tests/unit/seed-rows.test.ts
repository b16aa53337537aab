// What the command seed makes up, before any database sees it.
import { expect, test } from 'vitest'
import type { Row } from '../../src/db/backup/format.ts'
import { emailOf, seedRows } from '../../src/db/seed/rows.ts'
import { PRIORITIES, TASK_STATUSES } from '../../src/db/tasks.ts'

const END_MS = Date.parse('2026-03-01T00:00:00Z')
const START = '2025-03-01T00:00:00.000Z'
const END = new Date(END_MS).toISOString()

function rowsOf(table: string, { users = 20, tasks = 3000, seed = 1 } = {}): Row['row'][] {
  const rows = [...seedRows({ users, tasks, seed, endMs: END_MS }, 'the hash')]
  return rows.filter((row) => row.table === table).map(({ row }) => row)
}

test('the same seed makes the same rows, and another seed makes others', () => {
  expect(rowsOf('users')).toEqual(rowsOf('users'))
  expect(rowsOf('tasks')).toEqual(rowsOf('tasks'))
  const keys = [...rowsOf('users'), ...rowsOf('users', { seed: 2 })].flatMap((row) => [
    row.id,
    row.email,
  ])
  expect(new Set(keys).size).toBe(keys.length)
})

test('an account is the same for any number of accounts', () => {
  expect(rowsOf('users', { users: 5 })).toEqual(rowsOf('users', { users: 9 }).slice(0, 5))
  expect(emailOf(1, 4)).toBe(rowsOf('users')[4]?.email)
})

test.each([
  [1, 0],
  [1, 1],
  [7, 1],
  [3, 1000],
  [40, 1234],
])('%i accounts and %i tasks are exactly that many', (users, tasks) => {
  expect(rowsOf('users', { users, tasks })).toHaveLength(users)
  expect(rowsOf('tasks', { users, tasks })).toHaveLength(tasks)
})

test('a few accounts have most tasks', () => {
  const tasks = rowsOf('tasks', { users: 100, tasks: 10_000 })
  const counts = Object.values(Object.groupBy(tasks, ({ user_id }) => String(user_id)))
    .map((own) => own?.length ?? 0)
    .sort((one, other) => other - one)
  const tenth = counts.slice(0, 10).reduce((sum, count) => sum + count, 0)
  expect(tenth).toBeGreaterThan(5000)
  expect(counts[50]).toBeLessThan(50)
})

test('times are of the year before, each after those that it follows from', () => {
  const users = new Map(rowsOf('users').map(({ id, created_at }) => [id, String(created_at)]))
  for (const time of users.values()) expect(time > START && time <= END).toBe(true)
  const tasks = rowsOf('tasks')
  for (const { user_id, created_at, updated_at, due_at } of tasks) {
    const order = [users.get(user_id ?? ''), created_at, updated_at, END]
    expect(order).toEqual([...order].sort())
    if (due_at) expect(due_at > String(created_at)).toBe(true)
  }
})

test('the tasks of an account are spread over all its time', () => {
  const plan = { users: 1, tasks: 2000 }
  const startMs = Date.parse(String(rowsOf('users', plan)[0]?.created_at))
  const quarters = rowsOf('tasks', plan).map(({ created_at }) => {
    const spentMs = Date.parse(String(created_at)) - startMs
    return Math.floor((4 * spentMs) / (END_MS - startMs))
  })
  const counts = [0, 1, 2, 3].map((quarter) => quarters.filter((each) => each === quarter).length)
  for (const count of counts) expect(count).toBeGreaterThan(400)
})

test('every status, priority and kind of description is there, and none is too long', () => {
  const tasks = rowsOf('tasks')
  expect(new Set(tasks.map(({ status }) => status))).toEqual(new Set(TASK_STATUSES))
  expect(new Set(tasks.map(({ priority }) => priority))).toEqual(new Set(PRIORITIES))
  const lengths = tasks.map(({ description }) => description?.length ?? 0)
  expect(Math.max(...lengths)).toBeLessThanOrEqual(2000)
  expect(Math.max(...lengths)).toBeGreaterThan(500)
  expect(lengths).toContain(0)
  expect(tasks.some(({ due_at }) => due_at === null)).toBe(true)
  expect(tasks.some(({ description }) => description?.includes('\n'))).toBe(true)
})
