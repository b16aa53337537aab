// Every written case, whole and in pieces. EDGE_SEED asks for the same pieces again.
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'
import { randomBelow } from '../support/random.ts'
import { CORPUS } from './corpus.ts'
import { type Manner, type Report, runCase } from './runner.ts'
import { type Values, valuesFor } from './values.ts'

const SEED = Number(process.env.EDGE_SEED ?? Date.now() % 1_000_000_000)
const CASES_MIN = 200
const ABSENT = '00000000-0000-4000-8000-00000000abcd'
/** A write whose sender was cut off may still be on its way. */
const SETTLE_MS = 200
const CUT_STEPS = 10_000

const fixture = useService({ REQUEST_TIMEOUT_MS: '1000' })
let values: Values
let canary: { path: string; token: string; title: string }

beforeAll(async () => {
  const { client } = fixture
  const [account, other] = [await register(client), await register(client)]
  const create = async (token: string, title: string) =>
    (await client.post('/api/v1/tasks', { title }, { token })).body.id
  const [task, spare, foreign] = [
    await create(account.token, 'the task'),
    await create(account.token, 'the spare'),
    await create(other.token, 'the canary'),
  ]
  await client.post('/api/v1/auth/register', {
    email: 'somebody@example.com',
    password: other.password,
  })
  const page = await client.get('/api/v1/tasks?limit=1', { token: account.token })
  const cursor = /cursor=([\w-]+)/.exec(page.headers.get('link') ?? '')?.[1] ?? ''
  values = valuesFor(account.token, { task, spare, foreign, absent: ABSENT, cursor })
  canary = { path: `/api/v1/tasks/${foreign}`, token: other.token, title: 'the canary' }
})

/** Every task and account, in short: when it is the same as before, nothing was written. */
async function readState() {
  const [state] = await fixture.database.query<{
    tasks: number
    users: number
    smuggled: number
    contents: string
  }>(`select count(*)::int as tasks, (select count(*)::int from users) as users,
    count(*) filter (where title = 'smuggled')::int as smuggled,
    coalesce(max(updated_at)::text, '') as contents from tasks`)
  if (!state) throw new Error('There is no state')
  return state
}

/** What was written must be what was answered. */
async function checkWrites(
  before: Awaited<ReturnType<typeof readState>>,
  writesMax: number,
  { answers, problems }: Report,
) {
  if (writesMax > 0) await delay(SETTLE_MS)
  const after = await readState()
  const created = answers.filter(({ status }) => status === 201).length
  const grown = after.tasks + after.users - before.tasks - before.users
  const writes = answers.some(({ method, status }) => status < 300 && /PO|PA|DE/.test(method))
  if (after.smuggled > before.smuggled) problems.push('a smuggled write')
  if (grown > created + writesMax) problems.push(`${grown} rows for ${created} answers`)
  if (!writes && writesMax === 0 && after.contents !== before.contents) problems.push('a write')
}

async function checkCanary(problems: string[]) {
  const { status, body } = await fixture.client.get(canary.path, { token: canary.token })
  if (status !== 200 || body.title !== canary.title) problems.push(`canary: ${status}`)
}

/** Whole, in two pieces, and in up to eight. */
function cutsOf(random: (below: number) => number): number[][] {
  const some = (count: number) =>
    Array.from({ length: count }, () => random(CUT_STEPS) / CUT_STEPS).sort((a, b) => a - b)
  return [[], some(1), some(2 + random(6))]
}

test('there are enough cases, each with a name of its own', () => {
  const names = Object.entries(CORPUS).flatMap(([group, { cases }]) =>
    cases.map(({ name }) => `${group}: ${name}`),
  )
  expect(names.length).toBeGreaterThanOrEqual(CASES_MIN)
  expect(new Set(names).size).toBe(names.length)
})

describe.each(Object.entries(CORPUS))('%s', (_, { cases, pages }) => {
  test.each(cases.map((each) => [each.name, each.why, each] as const))(
    `%s (%s), seed ${SEED}`,
    async (_name, _why, given) => {
      const random = randomBelow(SEED)
      const problems: string[] = []
      for (const cuts of cutsOf(random)) {
        const before = await readState()
        const manner: Manner = { port: fixture.service.port, values, cuts, pages }
        const report = await runCase(given, manner)
        await checkWrites(before, given.writesMax ?? 0, report)
        await checkCanary(report.problems)
        problems.push(...report.problems.map((problem) => `cut at [${cuts.join()}]: ${problem}`))
      }
      expect(problems.join('\n')).toBe('')
    },
  )
})
