// The lines of requests and of tasks, which settings of their own ask for.
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Client, register } from '../support/client.ts'
import { type Fixture, useService } from '../support/fixture.ts'
import type { LogLine } from '../support/service.ts'

const SLOW_MS = 500
/** More than may be sent to PostgreSQL while none of them is answered. */
const CHANGES = 6

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'

interface Account {
  id: string
  token: string
}

/** The line of the request with this id. */
function lineOf({ service }: Fixture, id: string): Promise<LogLine> {
  return service.line(({ msg, request_id }) => msg === 'Request' && request_id === id)
}

function linesOf({ service }: Fixture, module: string): LogLine[] {
  return service.lines.filter((line) => line.module === module)
}

/** Runs `use` while nobody gets at the task. */
async function whileLocked<Result>(
  { database }: Fixture,
  taskId: string,
  use: () => Promise<Result>,
): Promise<Result> {
  await database.query('begin')
  await database.query('select from tasks where id = $1 for update', [taskId])
  try {
    return await use()
  } finally {
    await database.query('rollback')
  }
}

function rename(client: Client, { token }: Account, taskId: string, id: string) {
  return client.patch(`/api/v1/tasks/${taskId}`, { title: 'renamed' }, withId(token, id))
}

function withId(token: string, id: string) {
  return {
    token,
    headers: { 'x-request-id': id, traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-00` },
  }
}

describe('LOG_REQUESTS=slow', () => {
  const fixture = useService({
    LOG_REQUESTS: 'slow',
    LOG_SLOW_MS: String(SLOW_MS),
    // It has no say in these lines.
    LOG_LEVEL: 'info,http=silent',
  })
  let account: Account
  let taskId: string

  beforeAll(async () => {
    account = await register(fixture.client)
    const { body } = await fixture.client.post('/api/v1/tasks', { title: 'private' }, account)
    taskId = body.id
  })

  test('names account, route and times of each that was slow, and whether it waited for its turn', async () => {
    const { client } = fixture
    const ids = Array.from({ length: CHANGES }, () => randomUUID())
    await whileLocked(fixture, taskId, async () => {
      for (const id of ids) {
        void rename(client, account, taskId, id)
        await delay(SLOW_MS / 10)
      }
      await delay(2 * SLOW_MS)
    })
    const lines = await Promise.all(ids.map((id) => lineOf(fixture, id)))
    for (const line of lines) {
      expect(line).toMatchObject({
        level: 'info',
        module: 'requests',
        user_id: account.id,
        trace_id: TRACE_ID,
        method: 'PATCH',
        route: '/api/v1/tasks/:id',
        status: 200,
      })
      expect(Number(line.duration_ms)).toBeGreaterThan(SLOW_MS)
    }
    const waits = lines.map(({ queued_ms: waited }) => Number(waited))
    expect(Math.min(...waits)).toBeLessThan(SLOW_MS)
    expect(Math.max(...waits)).toBeGreaterThan(SLOW_MS)
    expect(JSON.stringify(fixture.service.lines)).not.toContain('renamed')
  })

  test('names no request that was served in time', async () => {
    const { client, service } = fixture
    const id = randomUUID()
    expect((await client.get('/api/v1/tasks', withId(account.token, id))).status).toBe(200)
    await register(client)
    await service.line(({ event, user_id }) => {
      return event === 'account_registered' && user_id !== account.id
    })
    expect(service.lines.filter(({ request_id }) => request_id === id)).toEqual([])
  })
})

describe('LOG_REQUESTS=errors', () => {
  const fixture = useService({ LOG_REQUESTS: 'errors', DB_STATEMENT_TIMEOUT_MS: '100' })

  test('names what failed and what its client gave up, and nothing else', async () => {
    const { client, service } = fixture
    const account = await register(client)
    const { body: task } = await client.post('/api/v1/tasks', { title: 'private' }, account)
    const failed = randomUUID()
    await whileLocked(fixture, task.id, async () => {
      expect((await rename(client, account, task.id, failed)).status).toBe(503)
    })
    expect(await lineOf(fixture, failed)).toMatchObject({ status: 503, user_id: account.id })

    const socket = connect(service.port, '127.0.0.1')
    socket.write(
      `PATCH /api/v1/tasks/${task.id} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
        `Authorization: Bearer ${account.token}\r\nContent-Length: 9\r\n\r\n{`,
    )
    await delay(50)
    socket.destroy()
    const aborted = await service.line((line) => line.aborted === true)
    expect(aborted).toMatchObject({ module: 'requests', method: 'PATCH', user_id: account.id })
    expect(aborted.status).toBeUndefined()

    expect((await client.get('/api/v1/tasks')).status).toBe(401)
    expect((await client.get('/api/v1/nothing', account)).status).toBe(404)
    expect(linesOf(fixture, 'requests')).toHaveLength(2)
  })
})

describe('LOG_EVENTS=on', () => {
  const fixture = useService({ LOG_EVENTS: 'on', LOG_LEVEL: 'silent,process=info' })

  test('names who created, changed and deleted which task, and nothing of what it says', async () => {
    const { client, service } = fixture
    const account = await register(client)
    const { body } = await client.post(
      '/api/v1/tasks',
      { title: 'a secret title', description: 'a secret text' },
      withId(account.token, 'one'),
    )
    const path = `/api/v1/tasks/${body.id.toUpperCase()}`
    await client.patch(path, { title: 'another title' }, withId(account.token, 'two'))
    await client.delete(path, withId(account.token, 'three'))
    expect((await client.delete(path, withId(account.token, 'four'))).status).toBe(404)
    await client.post('/api/v1/tasks', { title: '' }, withId(account.token, 'five'))
    await client.post('/api/v1/tasks', { title: 'last' }, withId(account.token, 'six'))
    await service.line(({ request_id }) => request_id === 'six')
    const common = { level: 'info', module: 'events', user_id: account.id, trace_id: TRACE_ID }
    const events = linesOf(fixture, 'events')
    expect(events).toMatchObject([
      { ...common, event: 'task_created', request_id: 'one', task_id: body.id },
      { ...common, event: 'task_updated', request_id: 'two', task_id: body.id },
      { ...common, event: 'task_deleted', request_id: 'three', task_id: body.id },
      { ...common, event: 'task_created', request_id: 'six' },
    ])
    expect(service.lines.filter(({ module }) => module !== 'process')).toEqual(events)
    expect(JSON.stringify(events)).not.toMatch(/title|secret/)
  })
})

describe('without either', () => {
  const fixture = useService()

  test('neither requests nor tasks have lines', async () => {
    const { client, service } = fixture
    const account = await register(client)
    await client.post('/api/v1/tasks', { title: 'quiet' }, account)
    await service.stop()
    expect(linesOf(fixture, 'requests')).toEqual([])
    expect(linesOf(fixture, 'events')).toEqual([])
  })
})
