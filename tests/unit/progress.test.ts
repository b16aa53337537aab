import { expect, test } from 'vitest'
import { describeRows, renderProgress } from '../../src/server/cli/progress.ts'

test.each([
  [{ rows: 0, elapsedMs: 10, share: undefined }, '0 rows, 0 rows/s'],
  [{ rows: 1200, elapsedMs: 3000, share: 0.5 }, '1,200 rows, 400 rows/s, 50 %'],
  // An estimate can be too low.
  [{ rows: 1200, elapsedMs: 3000, share: 1.3 }, '1,200 rows, 400 rows/s, 99 %'],
])('%j is shown as %s', (state, text) => {
  expect(renderProgress(state)).toBe(text)
})

test('the rows of each table are named, also when there are none', () => {
  expect(describeRows({ users: 1200, tasks: 0 })).toBe('1,200 users, 0 tasks')
  expect(describeRows({ users: 1, tasks: 1 })).toBe('1 user, 1 task')
})
