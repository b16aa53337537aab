// What many clients at once may rely on: their own writes, their own rows, and no lost change.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seededRandom } from '../../bench/load/scenario.ts'
import {
  type Account,
  type Answer,
  type Client,
  createClient,
  register,
} from '../support/client.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { startService, type TestService } from '../support/service.ts'

const ACCOUNTS = 12
const CLIENTS = 64
const STEPS = 40
/** Tasks of one client: an account has up to six clients, and all its tasks fit into one list of 100. */
const CREATED_MAX = 16
const ROUNDS = 30
const TIMEOUT_MS = 60_000
const STATUSES = ['todo', 'in_progress', 'done', 'cancelled']
const PRIORITIES = ['low', 'medium', 'high', 'critical']

interface Task {
  id: string
  user_id: string
  status: string
  [field: string]: string | null
}

describe.each([1, 2])('of a service with %i listener(s)', (listeners) => {
  let database: TestDatabase
  let service: TestService
  let client: Client
  let accounts: Account[]

  beforeAll(async () => {
    database = await createDatabase()
    service = await startService(database.url, {
      LISTENERS: String(listeners),
      LOG_REQUESTS: 'all',
    })
    client = createClient(service.url)
    accounts = await Promise.all(Array.from({ length: ACCOUNTS }, () => register(client)))
  })

  afterAll(async () => {
    await service?.stop()
    await database?.drop()
  })

  function account(index: number): Account {
    const found = accounts[index % ACCOUNTS]
    if (!found) throw new Error('There is no account')
    return found
  }

  test(
    'each of 64 random clients sees its own tasks as they were acknowledged, and none of another account',
    async () => {
      const everybodys: Task[] = []
      const clients = Array.from(
        { length: CLIENTS },
        (_, index) => new RandomClient(client, account(index), createRandom(index), everybodys),
      )
      await Promise.all(clients.map((each) => each.run()))
      await Promise.all(clients.map((each) => each.checkAll()))
      const kept = clients.reduce((sum, { tasks }) => sum + tasks.size, 0)
      const [row] = await database.query<{ count: string }>('select count(*) from tasks')
      expect(Number(row?.count)).toBe(kept)
      expect(kept).toBeGreaterThan(CLIENTS)
    },
    TIMEOUT_MS,
  )

  test('when clients change different fields of one task at once, every change is kept', async () => {
    const { token } = account(0)
    const { body: task } = await client.post('/api/v1/tasks', { title: 'shared' }, { token })
    const path = `/api/v1/tasks/${task.id}`
    for (let round = 0; round < ROUNDS; round += 1) {
      const changes = [
        { title: `title ${round}` },
        { description: round % 5 === 4 ? null : `description ${round}` },
        { status: STATUSES[round % 4] },
        { priority: PRIORITIES[round % 4] },
        { due_at: round % 7 === 6 ? null : new Date(round * 1e9).toISOString().slice(0, 19) + 'Z' },
      ]
      const answers = await Promise.all(changes.map((each) => client.patch(path, each, { token })))
      for (const [index, { status, body }] of answers.entries()) {
        expect(status).toBe(200)
        expect(body).toMatchObject(changes[index] ?? {})
      }
      const { body } = await client.get(path, { token })
      expect(body).toEqual({
        ...task,
        ...Object.assign({}, ...changes),
        updated_at: body.updated_at,
      })
    }
  })

  test('when clients change one field at once, the last change wins', async () => {
    const { token } = account(1)
    const { body: task } = await client.post('/api/v1/tasks', { title: 'contended' }, { token })
    const path = `/api/v1/tasks/${task.id}`
    for (let round = 0; round < 5; round += 1) {
      const titles = Array.from({ length: CLIENTS }, (_, index) => `round ${round}, ${index}`)
      const answers = await Promise.all(
        titles.map((title) => client.patch(path, { title }, { token })),
      )
      expect(answers.map(({ status }) => status)).toEqual(titles.map(() => 200))
      const rows: Task[] = answers.map(({ body }) => body)
      expect(rows.map(({ title }) => title)).toEqual(titles)
      expect(new Set(rows.map(({ updated_at }) => updated_at)).size).toBe(CLIENTS)
      expect(rows).toContainEqual((await client.get(path, { token })).body)
    }
  })

  test('when clients delete one task at once, only one of them succeeds', async () => {
    const { token } = account(2)
    for (let round = 0; round < 5; round += 1) {
      const { body } = await client.post('/api/v1/tasks', { title: 'doomed' }, { token })
      const path = `/api/v1/tasks/${body.id}`
      const answers = await Promise.all(
        Array.from({ length: 16 }, () => client.delete(path, { token })),
      )
      const statuses = answers.map(({ status }) => status).sort()
      expect(statuses).toEqual([204, ...Array.from({ length: 15 }, () => 404)])
    }
  })

  test('every listener has answered', () => {
    const requests = service.lines.filter(({ msg }) => msg === 'Request')
    expect(new Set(requests.map(({ pid }) => pid)).size).toBe(listeners)
  })
})

/** A client that knows what it created, which nobody else changes, and checks every answer against that. */
class RandomClient {
  readonly tasks = new Map<string, Task>()
  readonly #client: Client
  readonly #account: Account
  readonly #random: Random
  /** Tasks of all clients, including deleted ones. */
  readonly #everybodys: Task[]
  readonly #deleted = new Set<string>()
  #created = 0

  constructor(client: Client, account: Account, random: Random, everybodys: Task[]) {
    this.#client = client
    this.#account = account
    this.#random = random
    this.#everybodys = everybodys
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) await this.#step()
  }

  async checkAll(): Promise<void> {
    for (const task of this.tasks.values()) await this.#checkTask(task)
    await this.#checkList()
  }

  async #step(): Promise<void> {
    const known = this.#random.of([...this.tasks.values()])
    const dice = this.#random.below(10)
    if (this.#created < CREATED_MAX && (!known || dice < 4)) await this.#create()
    else if (dice === 4) await this.#checkList()
    else if (dice === 5) await this.#tryForeign()
    else if (known && dice === 6) await this.#delete(known)
    else if (known && dice === 7) await this.#checkTask(known)
    else if (known) await this.#change(known)
  }

  async #create(): Promise<void> {
    const title = `task ${this.#random.below(1e6)}`
    const description = this.#random.of([null, 'one "two"', '{three, \\four}'])
    const { status, body } = await this.#post({ title, description })
    this.#created += 1
    expect(status).toBe(201)
    expect(body).toMatchObject({ user_id: this.#account.id, title, description, status: 'todo' })
    this.tasks.set(body.id, body)
    this.#everybodys.push(body)
    await this.#checkTask(body)
    await this.#checkList()
  }

  async #change(known: Task): Promise<void> {
    const all = {
      title: `changed ${this.#random.below(1e6)}`,
      description: this.#random.of([null, 'five', 'NULL']),
      status: this.#random.of(STATUSES),
      priority: this.#random.of(PRIORITIES),
      due_at: this.#random.of([null, '2026-12-24T18:00:00.123456Z']),
    }
    const fields = Object.entries(all).filter(() => this.#random.below(2) === 0)
    const changes = fields.length > 0 ? Object.fromEntries(fields) : { status: all.status }
    const { status, body } = await this.#client.patch(pathOf(known), changes, this.#account)
    expect(status).toBe(200)
    expect(body).toEqual({ ...known, ...changes, updated_at: body.updated_at })
    this.tasks.set(known.id, body)
    await this.#checkTask(body)
    if (this.#random.below(3) === 0) await this.#checkList()
  }

  async #delete(known: Task): Promise<void> {
    expect((await this.#client.delete(pathOf(known), this.#account)).status).toBe(204)
    this.tasks.delete(known.id)
    this.#deleted.add(known.id)
    await this.#checkNotFound(known)
    await this.#checkList()
  }

  async #tryForeign(): Promise<void> {
    const { id } = this.#account
    const foreign = this.#random.of(this.#everybodys.filter(({ user_id }) => user_id !== id))
    if (foreign) await this.#checkNotFound(foreign)
  }

  async #checkNotFound(task: Task): Promise<void> {
    const path = pathOf(task)
    const changes = { title: 'stolen' }
    const answers = await Promise.all([
      this.#client.get(path, this.#account),
      this.#client.patch(path, changes, this.#account),
      this.#client.delete(path, this.#account),
    ])
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404])
  }

  async #checkTask(task: Task): Promise<void> {
    const { status, body } = await this.#client.get(pathOf(task), this.#account)
    expect(status).toBe(200)
    expect(body).toEqual(task)
  }

  /** A list also has what other clients of the account create. */
  async #checkList(): Promise<void> {
    const status = this.#random.of([undefined, ...STATUSES])
    const filter = status === undefined ? '' : `&status=${status}`
    const answer = await this.#client.get(`/api/v1/tasks?limit=100${filter}`, this.#account)
    expect(answer.status).toBe(200)
    const rows: Task[] = answer.body
    const ids = new Set(rows.map(({ id }) => id))
    expect(ids.size).toBe(rows.length)
    const others = rows.filter((row) => row.user_id !== this.#account.id)
    expect(others).toEqual([])
    expect(rows.filter(({ id }) => this.#deleted.has(id))).toEqual([])
    const own = rows.filter(({ id }) => this.tasks.has(id))
    const expected = [...this.tasks.values()].filter(
      (task) => status === undefined || task.status === status,
    )
    expect(own.toSorted(byId)).toEqual(expected.sort(byId))
  }

  #post(task: object): Promise<Answer> {
    return this.#client.post('/api/v1/tasks', task, this.#account)
  }
}

function pathOf({ id }: Task): string {
  return `/api/v1/tasks/${id}`
}

function byId(one: Task, other: Task): number {
  return one.id < other.id ? -1 : 1
}

interface Random {
  /** An integer from 0 up to, but not including, `end`. */
  below(end: number): number
  /** Any of the values; `undefined` when there is none. */
  of<Value>(values: readonly Value[]): Value | undefined
}

/** Makes the same choices for the same seed. */
function createRandom(seed: number): Random {
  const random = seededRandom(seed)
  const below = (end: number) => Math.floor(random() * end)
  return { below, of: (values) => values[below(values.length)] }
}
