// What the command `doctor` makes of what it has found, where no test can have it for real.
import { expect, test } from 'vitest'
import type { Migration } from '../../src/db/migration-files.ts'
import { judgeMigrations, judgeTls, judgeVersion } from '../../src/server/cli/doctor/fitness.ts'
import { judgeCpus } from '../../src/server/cli/doctor/machine.ts'
import { explainUnreachable } from '../../src/server/cli/doctor/unreachable.ts'

test.each([
  ['14.20', 14, 'problem'],
  ['15.0', 15, 'ok'],
  ['18.4', 18, 'ok'],
  ['19beta1', 19, 'warning'],
])('PostgreSQL %s is judged', (version, major, level) => {
  expect(judgeVersion({ version, major, isStandby: false }).level).toBe(level)
})

test.each([
  [2, 2, Number.POSITIVE_INFINITY, 'ok', '2 for 2 listeners'],
  [1, 1, 0.5, 'ok', '1 for 1 listener (a quota of 0.5)'],
  [4, 2, 1.5, 'warning', '2 for 4 listeners (a quota of 1.5): they take turns'],
])('%i listeners on %i CPUs with a quota of %d', (listeners, cpus, quota, level, found) => {
  expect(judgeCpus(listeners, cpus, quota)).toMatchObject({ level, found })
})

test.each([
  ['TLSv1.3', 'verify-full', false, 'ok'],
  ['TLSv1.3', 'verify-ca', false, 'ok'],
  ['TLSv1.3', 'require', false, 'warning'],
  [undefined, 'prefer', false, 'warning'],
  [undefined, 'prefer', true, 'ok'],
] as const)(
  '%s with sslmode=%s, on this machine: %s, is judged',
  (version, mode, isLocal, level) => {
    expect(judgeTls(version, mode, isLocal).level).toBe(level)
  },
)

test('what is pending is a problem for a role that may not migrate', () => {
  const migrations: Migration[] = [
    { name: '0001_a', state: 'applied', appliedAt: '2026-02-03T04:05:06Z' },
    { name: '0002_b', state: 'pending' },
  ]
  const judge = (mayMigrate: boolean) => judgeMigrations(migrations, { mayMigrate, mode: 'auto' })
  expect(judge(true)).toMatchObject({ level: 'warning', found: '0002_b: pending' })
  expect(judge(false)).toMatchObject({
    level: 'problem',
    fix: expect.stringContaining('as the owner'),
  })
})

test('what is edited comes before what is pending', () => {
  const migrations: Migration[] = [
    { name: '0001_a', state: 'edited', appliedAt: '2026-02-03T04:05:06Z' },
    { name: '0002_b', state: 'pending' },
  ]
  expect(judgeMigrations(migrations, { mayMigrate: true, mode: 'auto' })).toMatchObject({
    level: 'problem',
    found: '0001_a: edited',
  })
})

test.each([
  ['CERT_HAS_EXPIRED', 'has expired'],
  ['28P01', 'does not accept user and password'],
  ['EHOSTUNREACH', 'no way to that host'],
  ['SOMETHING_NEW', 'it cannot be used'],
])('the code %s has words and a fix', (code, words) => {
  const { level, found, fix } = explainUnreachable(Object.assign(new Error('Text'), { code }))
  expect(level).toBe('problem')
  expect(found).toMatch(new RegExp(`^Text: .*${words}`))
  expect(fix).toBeTruthy()
})
