// What clients receive when PostgreSQL refuses a statement or cannot serve it. A trigger really raises each SQLSTATE.
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Account, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const fixture = useService({ DB_STATEMENT_TIMEOUT_MS: '400' })
let account: Account

beforeAll(async () => {
  account = await register(fixture.client)
  await fixture.database.query(`
    create function raise_for_title() returns trigger language plpgsql as $$
    begin
      if new.title ~ '^[0-9A-Z]{5}$' then
        raise exception 'secret text of %', new.title using errcode = new.title;
      end if;
      return new;
    end
    $$`)
  await fixture.database.query(
    `create trigger raise_for_title before insert or update on tasks
     for each row execute function raise_for_title()`,
  )
})

const UNREACHABLE = 'The database cannot be reached, try again later'
const BUSY = 'The database is busy, try again later'
const CHANGED = 'The database is being changed, try again later'
const RETRYABLE = 'The change conflicted with another one, try again'

describe.each([
  ['08006', 503, 'unavailable', UNREACHABLE],
  ['25006', 503, 'unavailable', UNREACHABLE],
  ['40003', 503, 'unavailable', UNREACHABLE],
  ['53300', 503, 'unavailable', UNREACHABLE],
  ['28P01', 503, 'unavailable', UNREACHABLE],
  ['3D000', 503, 'unavailable', UNREACHABLE],
  ['57P03', 503, 'unavailable', UNREACHABLE],
  ['0A000', 503, 'unavailable', CHANGED],
  ['26000', 503, 'unavailable', CHANGED],
  ['53100', 503, 'unavailable', BUSY],
  ['53200', 503, 'unavailable', BUSY],
  ['53400', 503, 'unavailable', BUSY],
  ['55006', 503, 'unavailable', BUSY],
  ['55P03', 503, 'unavailable', BUSY],
  ['57014', 503, 'unavailable', BUSY],
  ['58030', 503, 'unavailable', BUSY],
  ['40001', 503, 'unavailable', RETRYABLE],
  ['40P01', 503, 'unavailable', RETRYABLE],
  ['23514', 500, 'internal', 'Internal server error'],
  ['42501', 500, 'internal', 'Internal server error'],
  // Of a trigger's function: no other connection does it better.
  ['42703', 500, 'internal', 'Internal server error'],
  ['54000', 500, 'internal', 'Internal server error'],
  ['XX001', 500, 'internal', 'Internal server error'],
  ['XX000', 500, 'internal', 'Internal server error'],
])('SQLSTATE %s', (title, status, code, error) => {
  beforeEach(() => {
    fixture.service.lines.length = 0
  })

  test(`of a single call is ${status} ${code}`, async () => {
    const { client } = fixture
    const answer = await client.post('/api/v1/tasks', { title }, { token: account.token })
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ code, error })
    expect(answer.headers.get('retry-after')).toBe(status === 503 ? '1' : null)
    expect(JSON.stringify(answer.body)).not.toContain('secret text')
  })

  test('of one call in a batch does not fail its neighbours, unless it concerns them all', async () => {
    const { client } = fixture
    const { token } = account
    const titles = Array.from({ length: 24 }, (_, index) => (index === 12 ? title : 'fine'))
    const answers = await Promise.all(
      titles.map((each) => client.post('/api/v1/tasks', { title: each }, { token })),
    )
    expect(answers[12]?.status).toBe(status)
    const apart = status === 500 || error === RETRYABLE || title === '55P03'
    const statuses = new Set(answers.filter((_, index) => index !== 12).map((each) => each.status))
    if (apart) expect([...statuses]).toEqual([201])
    else for (const each of statuses) expect([201, 503]).toContain(each)
  })
})

test('a row that somebody else has locked is reported as busy, not as an unreachable database', async () => {
  const { client, database } = fixture
  const { token } = account
  const { body: task } = await client.post('/api/v1/tasks', { title: 'held' }, { token })
  await database.query(`begin; select 1 from tasks where id = '${task.id}' for update`)
  const answer = await client.patch(`/api/v1/tasks/${task.id}`, { title: 'x' }, { token })
  await database.query('commit')
  expect(answer.status).toBe(503)
  expect(answer.body).toMatchObject({ code: 'unavailable', error: BUSY })
})
