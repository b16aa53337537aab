import { beforeAll, describe, expect, test } from 'vitest'
import { type Account, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const fixture = useService()
const NOWHERE = '01a2024a-fc86-7056-b801-9e780d49bebb'
let ada: Account
let bob: Account

beforeAll(async () => {
  ada = await register(fixture.client)
  bob = await register(fixture.client)
})

function create(task: object, owner = ada) {
  return fixture.client.post('/api/v1/tasks', task, { token: owner.token })
}

function pointers(body: { errors?: { pointer: string }[] }) {
  return body.errors?.map(({ pointer }) => pointer)
}

describe('POST /api/v1/tasks', () => {
  test('answers 201 with Location and the whole task', async () => {
    const { status, body, headers } = await create({
      title: 'Ship it',
      description: 'All of it',
      priority: 'critical',
      due_at: '2026-12-24T18:00:00.123456+02:00',
    })
    expect(status).toBe(201)
    expect(headers.get('location')).toBe(`tasks/${body.id}`)
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      user_id: ada.id,
      title: 'Ship it',
      description: 'All of it',
      status: 'todo',
      priority: 'critical',
      due_at: '2026-12-24T16:00:00.123456Z',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      updated_at: body.created_at,
    })
  })

  test('fills in the defaults', async () => {
    const { body } = await create({ title: 'x' })
    expect(body).toMatchObject({ description: null, priority: 'medium', due_at: null })
  })

  test.each([
    ['200 code points', '🦀'.repeat(200)],
    ['one character', 'x'],
    ['combining marks', 'é́́'],
  ])('takes a title of %s', async (_, title) => {
    const { status, body } = await create({ title })
    expect(status).toBe(201)
    expect(body.title).toBe(title)
  })

  test('takes a description of 2000 code points, and null', async () => {
    expect((await create({ title: 'x', description: '🦀'.repeat(2000) })).status).toBe(201)
    expect((await create({ title: 'x', description: null, due_at: null })).status).toBe(201)
  })

  test.each([
    ['no title', {}, ['/title']],
    ['an empty title', { title: '' }, ['/title']],
    ['201 code points', { title: '🦀'.repeat(201) }, ['/title']],
    ['a title that is a number', { title: 5 }, ['/title']],
    ['a title that is null', { title: null }, ['/title']],
    ['NUL', { title: 'a\0b' }, ['/title']],
    ['a lone surrogate', { title: 'a\ud800b' }, ['/title']],
    ['2001 code points', { title: 'x', description: '🦀'.repeat(2001) }, ['/description']],
    ['NUL in the description', { title: 'x', description: '\0' }, ['/description']],
    ['an unknown priority', { title: 'x', priority: 'urgent' }, ['/priority']],
    ['a status', { title: 'x', status: 'done' }, ['/status']],
    ['a typo', { title: 'x', prority: 'high' }, ['/prority']],
    ['30 February', { title: 'x', due_at: '2026-02-30T00:00:00Z' }, ['/due_at']],
    ['29 February 2027', { title: 'x', due_at: '2027-02-29T00:00:00Z' }, ['/due_at']],
    ['month 13', { title: 'x', due_at: '2026-13-01T00:00:00Z' }, ['/due_at']],
    ['hour 24', { title: 'x', due_at: '2026-01-01T24:00:00Z' }, ['/due_at']],
    ['no zone', { title: 'x', due_at: '2026-01-01T00:00:00' }, ['/due_at']],
    ['a date alone', { title: 'x', due_at: '2026-01-01' }, ['/due_at']],
    ['year 0', { title: 'x', due_at: '0000-06-01T00:00:00Z' }, ['/due_at']],
    ['a day before year 1', { title: 'x', due_at: '0001-01-01T00:00:00+01:00' }, ['/due_at']],
    ['a moment in year 10000', { title: 'x', due_at: '9999-12-31T23:59:59-01:00' }, ['/due_at']],
    ['no offset of any zone', { title: 'x', due_at: '2026-01-01T00:00:00+16:00' }, ['/due_at']],
    ['infinity', { title: 'x', due_at: 'infinity' }, ['/due_at']],
    ['epoch milliseconds', { title: 'x', due_at: 1767225600000 }, ['/due_at']],
    [
      'everything wrong',
      { title: '', priority: 1, due_at: 'x', a: 1 },
      ['/a', '/due_at', '/priority', '/title'],
    ],
  ])('answers 400 to %s', async (_, task, expected) => {
    const { status, body } = await create(task)
    expect(status).toBe(400)
    expect(body.code).toBe('invalid_request')
    expect(pointers(body)?.sort()).toEqual(expected)
  })

  test('says what is wrong with each field', async () => {
    const { body } = await create({ prio: 'high', description: 5, due_at: 'soon', priority: 'x' })
    expect(body.errors).toEqual([
      {
        pointer: '/title',
        message: expect.stringMatching(/^Required: text of 1 to 200 characters/),
      },
      { pointer: '/prio', message: 'Unknown field' },
      { pointer: '/description', message: expect.stringMatching(/^Expected text .* or null$/) },
      { pointer: '/priority', message: 'Expected one of "low", "medium", "high", "critical"' },
      {
        pointer: '/due_at',
        message: expect.stringMatching(/^Expected a valid RFC 3339 .* or null$/),
      },
    ])
    expect(body.error).toMatch(/^Invalid body: \/title Required/)
  })

  test('refuses __proto__ as an unknown field', async () => {
    const { status, body } = await fixture.client.request('POST', '/api/v1/tasks', {
      token: ada.token,
      headers: { 'content-type': 'application/json' },
      body: '{"title":"x","__proto__":{"status":"done"}}',
    })
    expect(status).toBe(400)
    expect(pointers(body)).toEqual(['/__proto__'])
  })

  test.each([
    ['+15:59', '2025-12-31T08:01:00Z'],
    ['-15:59', '2026-01-01T15:59:00Z'],
  ])('takes a due_at with the offset %s', async (offset, expected) => {
    const { status, body } = await create({ title: 'x', due_at: `2026-01-01T00:00:00${offset}` })
    expect(status).toBe(201)
    expect(body.due_at).toBe(expected)
  })

  test('keeps times at the edges of what four-digit years can show', async () => {
    const early = await create({ title: 'x', due_at: '0001-01-01T00:00:00Z' })
    expect(early.body.due_at).toBe('0001-01-01T00:00:00Z')
    const late = await create({ title: 'x', due_at: '9999-12-31T23:59:58.9999999Z' })
    expect(late.body.due_at).toBe('9999-12-31T23:59:59Z')
  })
})

describe('GET /api/v1/tasks/:id', () => {
  test('answers the task', async () => {
    const { body: task } = await create({ title: 'read me' })
    const answer = await fixture.client.get(`/api/v1/tasks/${task.id}`, { token: ada.token })
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual(task)
  })

  test('answers 404 when there is no such task and 400 when the id is not one', async () => {
    const missing = await fixture.client.get(`/api/v1/tasks/${NOWHERE}`, { token: ada.token })
    expect(missing.status).toBe(404)
    const invalid = await fixture.client.get('/api/v1/tasks/17', { token: ada.token })
    expect(invalid.status).toBe(400)
    expect(pointers(invalid.body)).toEqual(['/id'])
  })
})

describe('GET /api/v1/tasks', () => {
  let owner: Account
  let ids: string[]

  beforeAll(async () => {
    owner = await register(fixture.client)
    ids = []
    for (let index = 0; index < 12; index += 1) {
      ids.unshift((await create({ title: `task ${index}` }, owner)).body.id)
    }
    await fixture.client.patch(
      `/api/v1/tasks/${ids[3]}`,
      { status: 'in_progress' },
      { token: owner.token },
    )
  })

  async function list(query: string) {
    const { status, body } = await fixture.client.get(`/api/v1/tasks${query}`, {
      token: owner.token,
    })
    return { status, body, ids: status === 200 ? body.map((task: { id: string }) => task.id) : [] }
  }

  test('lists newest first', async () => {
    expect((await list('')).ids).toEqual(ids)
  })

  test('settles equal times by id, the larger first', async () => {
    const { database, client } = fixture
    const twin = await register(client)
    const first = (await create({ title: 'a' }, twin)).body.id
    const second = (await create({ title: 'b' }, twin)).body.id
    await database.query(`update tasks set created_at = '2026-01-01Z' where user_id = '${twin.id}'`)
    const { body } = await client.get('/api/v1/tasks', { token: twin.token })
    expect(body.map((task: { id: string }) => task.id)).toEqual([second, first])
  })

  test('pages by limit and offset', async () => {
    expect((await list('?limit=5')).ids).toEqual(ids.slice(0, 5))
    expect((await list('?limit=5&offset=5')).ids).toEqual(ids.slice(5, 10))
    expect((await list('?offset=12')).ids).toEqual([])
  })

  test('filters by status', async () => {
    expect((await list('?status=in_progress')).ids).toEqual([ids[3]])
    expect((await list('?status=todo&limit=4')).ids).toEqual([ids[0], ids[1], ids[2], ids[4]])
    expect((await list('?status=cancelled')).ids).toEqual([])
  })

  test('answers 50 tasks by default and 100 at most', async () => {
    const { client, database } = fixture
    const busy = await register(client)
    await database.query(
      `insert into tasks (user_id, id, title)
       select '${busy.id}', gen_random_uuid(), 'bulk' from generate_series(1, 120)`,
    )
    const count = async (query: string) =>
      (await client.get(`/api/v1/tasks${query}`, { token: busy.token })).body.length
    expect(await count('')).toBe(50)
    expect(await count('?limit=100')).toBe(100)
    expect(await count('?limit=101')).toBe(100)
    expect(await count('?limit=999999999')).toBe(100)
  })

  test.each([
    ['?limit=0', '/limit'],
    ['?limit=-1', '/limit'],
    ['?limit=ten', '/limit'],
    ['?limit=1.5', '/limit'],
    ['?limit=1e2', '/limit'],
    ['?limit=', '/limit'],
    ['?limit=99999999999999999999', '/limit'],
    ['?offset=-1', '/offset'],
    ['?offset=x', '/offset'],
    ['?status=open', '/status'],
    ['?status=todo&status=done', '/status'],
    ['?page=2', '/page'],
    ['?%zz=%zz', '/%zz'],
  ])('answers 400 to %s', async (query, pointer) => {
    const { status, body } = await list(query)
    expect(status).toBe(400)
    expect(pointers(body)).toEqual([pointer])
  })
})

describe('PATCH /api/v1/tasks/:id', () => {
  async function patch(id: string, changes: object, owner = ada) {
    return fixture.client.patch(`/api/v1/tasks/${id}`, changes, { token: owner.token })
  }

  test('changes the given fields and leaves the others', async () => {
    const { body: task } = await create({
      title: 'a',
      description: 'b',
      due_at: '2027-01-01T00:00:00Z',
    })
    const { status, body } = await patch(task.id, { status: 'in_progress', priority: 'low' })
    expect(status).toBe(200)
    expect(body).toEqual({
      ...task,
      status: 'in_progress',
      priority: 'low',
      updated_at: expect.any(String),
    })
    expect(body.updated_at > task.updated_at).toBe(true)
    const renamed = await patch(task.id, {
      title: 'c',
      description: 'd',
      due_at: '2028-01-01T00:00:00Z',
    })
    expect(renamed.body).toMatchObject({
      title: 'c',
      description: 'd',
      due_at: '2028-01-01T00:00:00Z',
    })
  })

  test('clears description and due_at with null', async () => {
    const { body: task } = await create({
      title: 'a',
      description: 'b',
      due_at: '2027-01-01T00:00:00Z',
    })
    const { body } = await patch(task.id, { description: null, due_at: null })
    expect(body).toMatchObject({ title: 'a', description: null, due_at: null })
    const { body: read } = await fixture.client.get(`/api/v1/tasks/${task.id}`, {
      token: ada.token,
    })
    expect(read).toEqual(body)
  })

  test.each(['todo', 'in_progress', 'done', 'cancelled'])('sets the status %s', async (status) => {
    const { body: task } = await create({ title: 'a' })
    expect((await patch(task.id, { status })).body.status).toBe(status)
  })

  test.each([
    ['nothing', {}, ['']],
    ['a null title', { title: null }, ['/title']],
    ['an empty title', { title: '' }, ['/title']],
    ['an unknown status', { status: 'open' }, ['/status']],
    ['a null status', { status: null }, ['/status']],
    ['an id', { id: NOWHERE }, ['/id']],
    ['an impossible date', { due_at: '2026-04-31T00:00:00Z' }, ['/due_at']],
  ])('answers 400 to %s', async (_, changes, expected) => {
    const { body: task } = await create({ title: 'a' })
    const { status, body } = await patch(task.id, changes)
    expect(status).toBe(400)
    expect(pointers(body)).toEqual(expected)
  })

  test('says that at least one field is needed', async () => {
    const { body: task } = await create({ title: 'a' })
    const { body } = await patch(task.id, {})
    expect(body.errors).toEqual([{ pointer: '', message: 'Expected at least one field' }])
    expect(body.error).toBe('Invalid body: Expected at least one field')
  })

  test('answers 404 when there is no such task', async () => {
    expect((await patch(NOWHERE, { title: 'x' })).status).toBe(404)
  })
})

describe('DELETE /api/v1/tasks/:id', () => {
  test('answers 204 once, then 404', async () => {
    const { body: task } = await create({ title: 'a' })
    const path = `/api/v1/tasks/${task.id}`
    const gone = await fixture.client.delete(path, { token: ada.token })
    expect(gone.status).toBe(204)
    expect(gone.body).toBe('')
    expect(gone.headers.has('content-length')).toBe(false)
    expect((await fixture.client.delete(path, { token: ada.token })).status).toBe(404)
    expect((await fixture.client.get(path, { token: ada.token })).status).toBe(404)
  })
})

test("nobody sees, changes or deletes another account's task", async () => {
  const { client } = fixture
  const { body: task } = await create({ title: "ada's" })
  const path = `/api/v1/tasks/${task.id}`
  const { token } = bob
  expect((await client.get(path, { token })).status).toBe(404)
  expect((await client.patch(path, { title: "bob's" }, { token })).status).toBe(404)
  expect((await client.delete(path, { token })).status).toBe(404)
  expect((await client.get('/api/v1/tasks', { token })).body).toEqual([])
  expect((await client.get(path, { token: ada.token })).body).toEqual(task)
})
