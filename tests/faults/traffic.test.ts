// The checks of traffic themselves: a service that lies is found out, and one that does not is not accused.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { eventually } from '../support/client.ts'
import type { TrafficReport } from './ledger.ts'
import { startTraffic } from './traffic.ts'

interface Row {
  id: string
  title: string
  user_id: string
}

/** What the service does to the answer for a task. Without a row, it answers 404. */
type Lie = (row: Row, method: string) => { status: number; row?: Row } | 'silence'

const CLIENTS = 2
const ANSWER_MS_MAX = 500
const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** As little of the API as the traffic needs, in memory. */
async function startLiar(lie: Lie): Promise<string> {
  const rows = new Map<string, Row>()
  let count = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const json = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : {}
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    const { method = '', url = '' } = request
    const userId = request.headers.authorization ?? ''
    count += 1
    if (url.endsWith('/register')) {
      send(201, { user: { id: `Bearer ${count}` }, token: String(count) })
      return
    }
    if (url.includes('?')) {
      send(
        200,
        [...rows.values()].filter(({ user_id }) => user_id === userId),
      )
      return
    }
    const id = method === 'POST' ? `task-${count}` : (url.split('/').at(-1) ?? '')
    const row = rows.get(id) ?? { id, title: '', user_id: userId }
    if (json.title) row.title = json.title
    rows.set(id, row)
    const told = lie({ ...row }, method)
    if (told !== 'silence') send(told.status, told.row ?? { code: 'not_found' })
  }

  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function trafficWith(lie: Lie): Promise<TrafficReport> {
  const options = { answerMsMax: ANSWER_MS_MAX }
  const traffic = await startTraffic(await startLiar(lie), CLIENTS, options)
  await eventually('requests', () => traffic.report.started > 100)
  return traffic.stop()
}

const honest: Lie = (row, method) => ({ status: method === 'POST' ? 201 : 200, row })

test('a service that does not lie is not accused', async () => {
  const { wrong, broken, unanswered, refused } = await trafficWith(honest)
  expect({ wrong, broken, unanswered, refused }).toEqual({
    wrong: [],
    broken: [],
    unanswered: [],
    refused: 0,
  })
})

test.each<[string, Lie]>([
  ['a foreign row', (row, method) => honest({ ...row, user_id: 'another' }, method)],
  ['another task', (row, method) => honest({ ...row, id: 'task-0' }, method)],
  [
    'a change that is lost',
    (row, method) =>
      honest(method === 'GET' ? { ...row, title: row.title.replace('again', '') } : row, method),
  ],
  [
    'a task that is lost',
    (row, method) => (method === 'GET' ? { status: 404 } : honest(row, method)),
  ],
])('it finds %s', async (_, lie) => {
  expect((await trafficWith(lie)).wrong).not.toEqual([])
})

test('it finds answers of 500', async () => {
  const report = await trafficWith((row, method) => {
    return method === 'PATCH' ? { status: 500, row } : honest(row, method)
  })
  expect(report.broken).not.toEqual([])
})

test('it finds requests that hang', async () => {
  let count = 0
  const report = await trafficWith((row, method) => {
    count += 1
    return count === 20 ? 'silence' : honest(row, method)
  })
  expect(report.unanswered[0]).toContain('TimeoutError')
  expect(report.late).not.toEqual([])
})
