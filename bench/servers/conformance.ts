// Sends the same requests to every server before anything is timed. One that answers with another status or shape gets
// no figures.
import type { SeedUser } from '../load/scenario.ts'

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/
const TASK_FIELDS = [
  'id',
  'user_id',
  'title',
  'description',
  'status',
  'priority',
  'due_at',
  'created_at',
  'updated_at',
]

/** Every way in which a server's answers differ from what they should be; empty when it conforms. */
export async function checkConformance(
  url: string,
  serves: 'json' | 'tasks',
  users: readonly SeedUser[],
): Promise<string[]> {
  const check = new Check(url)
  await checkJson(check)
  const [owner, stranger] = users
  if (serves === 'tasks' && owner && stranger) {
    await checkTasks(check, owner, stranger)
    await checkLogin(check, owner)
  }
  return check.complaints
}

async function checkJson(check: Check): Promise<void> {
  const answer = await check.request('GET', '/health', 200)
  check.equal('the bytes of /health', answer.text, '{"status":"ok"}')
  check.equal('its type', answer.type.split(';')[0], 'application/json')
}

async function checkTasks(check: Check, owner: SeedUser, stranger: SeedUser): Promise<void> {
  const { token } = owner
  await check.request('GET', '/api/v1/tasks', 401)
  const due = '2026-12-24T18:00:00.123456Z'
  const task = { title: 'Write integration tests', priority: 'high', due_at: due }
  const { value: created } = await check.request('POST', '/api/v1/tasks', 201, {
    token,
    body: task,
  })
  check.isTask(created)
  check.equal('the created task', pickFields(created, ['title', 'status', 'priority', 'due_at']), {
    title: task.title,
    status: 'todo',
    priority: 'high',
    due_at: due,
  })
  const path = `/api/v1/tasks/${created.id}`
  const read = await check.request('GET', path, 200, { token })
  check.equal('the task read back', read.value, created)
  await check.request('GET', path, 404, { token: stranger.token })
  const changes = { status: 'done', due_at: null }
  const patched = await check.request('PATCH', path, 200, { token, body: changes })
  check.isTask(patched.value)
  check.equal('the patched task', patched.value, {
    ...created,
    ...changes,
    updated_at: patched.value?.updated_at,
  })
  check.equal('that updated_at moved', patched.value?.updated_at > created.updated_at, true)
  const list = await check.request('GET', '/api/v1/tasks?limit=20', 200, { token })
  check.equal('the length of the list', list.value?.length, 20)
  check.equal('the newest of the list', list.value?.[0]?.id, created.id)
  for (const row of list.value ?? []) check.isTask(row)
  await check.request('POST', '/api/v1/tasks', 400, { token, body: { title: '' } })
  await check.request('DELETE', path, 204, { token })
  await check.request('GET', path, 404, { token })
}

async function checkLogin(check: Check, { email, password }: SeedUser): Promise<void> {
  const path = '/api/v1/auth/login'
  const answer = await check.request('POST', path, 200, { body: { email, password } })
  check.equal('the token of a login', typeof answer.value?.token, 'string')
  await check.request('GET', '/api/v1/tasks', 200, { token: answer.value?.token })
  await check.request('POST', path, 401, { body: { email, password: 'not the password' } })
}

interface Answer {
  text: string
  type: string
  // A wrong answer can have any shape.
  value: any
}

class Check {
  readonly complaints: string[] = []
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  async request(
    method: string,
    path: string,
    status: number,
    options: { token?: string; body?: unknown } = {},
  ): Promise<Answer> {
    const response = await fetch(this.#url + path, {
      method,
      headers: {
        ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
        ...(options.body ? { 'content-type': 'application/json' } : {}),
      },
      body: options.body ? JSON.stringify(options.body) : null,
    })
    const text = await response.text()
    this.equal(
      `the status of ${method} ${path.replace(/[0-9a-f-]{36}/, ':id')}`,
      response.status,
      status,
    )
    const type = response.headers.get('content-type') ?? ''
    return { text, type, value: type.startsWith('application/json') ? JSON.parse(text) : undefined }
  }

  equal(what: string, found: unknown, wanted: unknown): void {
    const [is, should] = [JSON.stringify(found), JSON.stringify(wanted)]
    if (is !== should) this.complaints.push(`${what} is ${is}, not ${should}`)
  }

  isTask(value: any): void {
    this.equal('the fields of a task', Object.keys(value ?? {}), TASK_FIELDS)
    for (const field of ['created_at', 'updated_at']) {
      if (!INSTANT.test(value?.[field])) this.complaints.push(`${field} is ${value?.[field]}`)
    }
  }
}

function pickFields(value: any, names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, value?.[name]]))
}
