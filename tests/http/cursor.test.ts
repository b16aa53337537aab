// The pages of a list, one after the other, by following their Link headers.
import { beforeEach, describe, expect, test } from 'vitest'
import { type Account, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const fixture = useService()
const TASKS = 60
const LIMIT = 7
/** The time of a well-formed cursor; the tasks of the tests are older. */
const TIME = '2026-06-01T00:00:00.123456Z'
const ID = '01a2024a-fc86-7056-b801-9e780d49bebb'

interface Page {
  ids: string[]
  /** Path of the next page. */
  next: string | undefined
}

let owner: Account

beforeEach(async () => {
  owner = await register(fixture.client)
})

/** Inserts tasks, ten with each time, so that pages end among equal times. */
async function insertTasks(account: Account, count = TASKS): Promise<void> {
  await fixture.database.query(`
    insert into tasks (user_id, id, title, status, created_at)
    select '${account.id}', gen_random_uuid(), 'task ' || n,
      (enum_range(null::task_status))[1 + n % 2],
      timestamptz '2026-01-01T00:00:00.000001Z' + n / 10 * interval '1 second'
    from generate_series(0, ${count - 1}) n`)
}

/** The ids of the account's tasks in the order of its list. */
async function listedIds(account: Account, where = 'true'): Promise<string[]> {
  const rows = await fixture.database.query<{ id: string }>(
    `select id from tasks where user_id = '${account.id}' and ${where}
     order by created_at desc, id desc`,
  )
  return rows.map(({ id }) => id)
}

/** The path that a link on the page `path` leads to. */
function resolve(path: string, target: string): string {
  const { pathname, search } = new URL(target, fixture.client.url + path)
  return pathname + search
}

async function readPage(path: string, account = owner): Promise<Page> {
  const { status, body, headers } = await fixture.client.get(path, { token: account.token })
  expect(status).toBe(200)
  const rows: { id: string; user_id: string }[] = body
  for (const row of rows) expect(row.user_id).toBe(account.id)
  const link = headers.get('link')
  const target = link === null ? undefined : /^<(\?[^>]+)>; rel="next"$/.exec(link)?.[1]
  if (link !== null) expect(target, link).toBeDefined()
  return { ids: rows.map(({ id }) => id), next: target && resolve(path, target) }
}

/** Reads every page from `path` on; `between` runs after each. */
async function readPages(
  path: string,
  between: (page: Page) => Promise<void> = () => Promise.resolve(),
): Promise<Page[]> {
  const pages: Page[] = []
  let next: string | undefined = path
  while (next !== undefined) {
    const page: Page = await readPage(next)
    pages.push(page)
    await between(page)
    if (pages.length > TASKS) throw new Error('The pages have no end')
    next = page.next
  }
  return pages
}

function idsOf(pages: readonly Page[]): string[] {
  return pages.flatMap(({ ids }) => ids)
}

describe('following rel="next"', () => {
  test('visits every task once, in the order of the list, even among equal times', async () => {
    await insertTasks(owner)
    const pages = await readPages(`/api/v1/tasks?limit=${LIMIT}`)
    expect(idsOf(pages)).toEqual(await listedIds(owner))
    expect(pages.map(({ ids }) => ids.length)).toEqual([7, 7, 7, 7, 7, 7, 7, 7, 4])
  })

  test.each(['todo', 'in_progress', 'done'])('keeps to status=%s', async (status) => {
    await insertTasks(owner)
    const pages = await readPages(`/api/v1/tasks?status=${status}&limit=${LIMIT}`)
    expect(idsOf(pages)).toEqual(await listedIds(owner, `status = '${status}'`))
    expect(idsOf(pages)).toHaveLength(status === 'done' ? 0 : TASKS / 2)
  })

  test('works one task at a time, and from an offset on', async () => {
    await insertTasks(owner, 25)
    const ids = await listedIds(owner)
    expect(idsOf(await readPages('/api/v1/tasks?limit=1'))).toEqual(ids)
    expect(idsOf(await readPages('/api/v1/tasks?limit=4&offset=3'))).toEqual(ids.slice(3))
  })

  test('works for tasks that were created over HTTP', async () => {
    const created = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        fixture.client.post('/api/v1/tasks', { title: `task ${index}` }, { token: owner.token }),
      ),
    )
    const visited = idsOf(await readPages('/api/v1/tasks?limit=3'))
    expect(visited).toEqual(await listedIds(owner))
    expect(visited.toSorted()).toEqual(created.map(({ body }) => body.id).sort())
  })

  test('ends at a page that is not full, which has no Link', async () => {
    await insertTasks(owner, 2 * LIMIT)
    const pages = await readPages(`/api/v1/tasks?limit=${LIMIT}`)
    // A full page cannot be known to be the last one.
    expect(pages.map(({ ids }) => ids.length)).toEqual([LIMIT, LIMIT, 0])
    expect((await readPage(`/api/v1/tasks?limit=${2 * LIMIT + 1}`)).next).toBeUndefined()
  })

  test('keeps to the largest limit when a larger one was given', async () => {
    await insertTasks(owner, 120)
    const first = await readPage('/api/v1/tasks?limit=1000')
    expect(first.next).toContain('limit=100&')
    const second = await readPage(first.next ?? '')
    expect([...first.ids, ...second.ids]).toEqual(await listedIds(owner))
  })
})

describe('while the list changes', () => {
  test('newer tasks neither repeat nor hide older ones', async () => {
    await insertTasks(owner)
    const before = await listedIds(owner)
    const pages = await readPages(`/api/v1/tasks?limit=${LIMIT}`, async () => {
      const answers = await Promise.all(
        ['a', 'b', 'c'].map((title) =>
          fixture.client.post('/api/v1/tasks', { title }, { token: owner.token }),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
    })
    expect(idsOf(pages)).toEqual(before)
    expect(await listedIds(owner)).toHaveLength(TASKS + 3 * pages.length)
  })

  test('the task that a page ended with can be deleted', async () => {
    await insertTasks(owner)
    const before = await listedIds(owner)
    const pages = await readPages(`/api/v1/tasks?limit=${LIMIT}`, async ({ ids }) => {
      const last = `/api/v1/tasks/${ids.at(-1)}`
      expect((await fixture.client.delete(last, { token: owner.token })).status).toBe(204)
    })
    expect(idsOf(pages)).toEqual(before)
    expect(await listedIds(owner)).toHaveLength(TASKS - pages.length)
  })

  test('tasks that are changed stay in their place', async () => {
    await insertTasks(owner)
    const before = await listedIds(owner)
    const pages = await readPages(`/api/v1/tasks?limit=${LIMIT}`, async ({ ids }) => {
      const last = `/api/v1/tasks/${ids.at(-1)}`
      const changes = { title: 'changed', status: 'done' }
      expect((await fixture.client.patch(last, changes, { token: owner.token })).status).toBe(200)
    })
    expect(idsOf(pages)).toEqual(before)
  })
})

test("a cursor of another account shows only the caller's own tasks", async () => {
  const other = await register(fixture.client)
  await insertTasks(owner)
  await insertTasks(other)
  const { next = '' } = await readPage(`/api/v1/tasks?limit=${LIMIT}`)
  const page = await readPage(next, other)
  expect(page.ids).toHaveLength(LIMIT)
  const listed = await listedIds(other)
  const from = listed.indexOf(page.ids[0] ?? '')
  expect(page.ids).toEqual(listed.slice(from, from + LIMIT))
})

describe('a cursor', () => {
  const cursor = encode(`${TIME}/${ID}`)

  function encode(text: string): string {
    return Buffer.from(text).toString('base64url')
  }

  function read(query: string, headers: Record<string, string> = {}) {
    return fixture.client.get(`/api/v1/tasks?${query}`, { token: owner.token, headers })
  }

  test('in the form that links have is accepted', async () => {
    await insertTasks(owner, 3)
    const { status, body } = await read(`cursor=${cursor}`)
    expect(status).toBe(200)
    expect(body).toHaveLength(3)
  })

  test.each([
    ['is empty', ''],
    ['is not base64', '***'],
    ['is not encoded', `${TIME}/${ID}`],
    ['is another text', encode('the second page')],
    ['has no id', encode(`${TIME}/`)],
    ['has no time', encode(`/${ID}`)],
    ['has half an id', encode(`${TIME}/${ID.slice(0, 18)}`)],
    ['has an impossible time', encode(`2026-02-30T00:00:00.123456Z/${ID}`)],
    ['has a time without end', encode(`infinity/${ID}`)],
    ['has SQL for a time', encode(`'2026-01-01'::timestamptz/${ID}`)],
    ['has more behind it', encode(`${TIME}/${ID}/${ID}`)],
    ['has NUL in it', encode(`${TIME}\0/${ID}`)],
    ['is far too long', cursor + 'A'.repeat(2000)],
    ['is cut off', cursor.slice(0, -6)],
  ])('that %s gets 400', async (_, text) => {
    const { status, body } = await read(`cursor=${encodeURIComponent(text)}`)
    expect(status).toBe(400)
    expect(body.code).toBe('invalid_request')
    expect(body.errors).toEqual([
      {
        pointer: '/cursor',
        message: expect.stringContaining('the cursor from the Link of a page'),
      },
    ])
  })

  test.each([
    ['2026-01-01T00:00:00+15:59', 200],
    ['2026-01-01T00:00:00-15:59', 200],
    ['0001-01-01T00:00:00Z', 200],
    ['9999-12-31T23:59:58Z', 200],
    ['2026-01-01T00:00:00+16:00', 400],
    ['2026-01-01T00:00:00-23:59', 400],
    ['9999-12-31T23:59:59Z', 400],
  ])('of the time %s gets %i, not a failure of PostgreSQL', async (time, expected) => {
    expect((await read(`cursor=${encode(`${time}/${ID}`)}`)).status).toBe(expected)
  })

  test('given twice gets 400', async () => {
    const { status, body } = await read(`cursor=${cursor}&cursor=${cursor}`)
    expect(status).toBe(400)
    expect(body.errors[0].pointer).toBe('/cursor')
  })

  test.each([0, 5])('together with offset=%i gets 400', async (offset) => {
    const { status, body } = await read(`cursor=${cursor}&offset=${offset}`)
    expect(status).toBe(400)
    expect(body).toMatchObject({
      code: 'invalid_request',
      error: 'Send cursor or offset, not both',
    })
  })

  test('works in browsers, too: they may read Link', async () => {
    await insertTasks(owner, LIMIT)
    const { headers } = await read(`limit=${LIMIT}`, { origin: 'https://app.example.com' })
    expect(headers.get('link')).toContain('rel="next"')
    expect(headers.get('access-control-expose-headers')?.split(', ')).toContain('Link')
  })
})
