// Random requests over many connections: none may be answered with 500, stay unanswered, or end the process.
// EDGE_REQUESTS and EDGE_SEED ask for more of them, or for some again.
import { beforeAll, expect, test } from 'vitest'
import { PROBLEMS } from '../../src/server/http/problem.ts'
import { register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'
import { randomBelow } from '../support/random.ts'
import type { Answer } from './answers.ts'
import { RawConnection, type Unanswered } from './connection.ts'
import { type Generated, makeRequest, type World } from './generators/requests.ts'
import { checkBody } from './runner.ts'
import { valuesFor } from './values.ts'

const REQUESTS = Number(process.env.EDGE_REQUESTS ?? 5000)
const FIRST_SEED = Number(process.env.EDGE_SEED ?? Date.now() % 1_000_000_000)
const AT_ONCE = 48
/** Longer than the deadline of a request and than what uWebSockets.js gives an idle connection. */
const BOUND_MS = 15_000
/** A broken request that is not answered by then may wait for more; its connection is watched beside the next ones. */
const HURRY_MS = 20
/** Connections that are watched like that at a time; the longest watched makes room for another. */
const WATCHED_MAX = 150
const PROBLEMS_SHOWN = 20
const TASKS = 20
const KNOWN: ReadonlySet<number> = new Set([
  200,
  201,
  204,
  308,
  417,
  501,
  505,
  ...Object.values(PROBLEMS).map(({ status }) => status),
])

const fixture = useService({ REQUEST_TIMEOUT_MS: '2000', LOG_LEVEL: 'info' })
const problems: string[] = []
const counts = new Map<string, number>()
const watched = new Set<{ connection: RawConnection; watching: Promise<void> }>()
let world: World

beforeAll(async () => {
  const { client } = fixture
  const accounts = [await register(client), await register(client)]
  const token = accounts[0]?.token ?? ''
  const taskIds: string[] = []
  for (let index = 0; index < TASKS; index += 1) {
    const { body } = await client.post('/api/v1/tasks', { title: 'x' }, { token })
    taskIds.push(body.id)
  }
  const forged = [...valuesFor(token, {}).entries()].filter(([name]) => name !== 'token')
  const badTokens = forged.map(([, value]) => value)
  world = { tokens: accounts.map((account) => account.token), badTokens, taskIds }
})

function count(name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

/** Sends the request of this seed. Returns the connection when it can be used again. */
async function send(seed: number, kept?: RawConnection): Promise<RawConnection | undefined> {
  const random = randomBelow(seed)
  const request = makeRequest(random, world)
  const connection = kept ?? new RawConnection(fixture.service.port)
  if (random(20) === 0) {
    const cuts = [random(request.bytes.length), random(request.bytes.length)].sort((a, b) => a - b)
    await connection.writeInPieces(request.bytes, cuts)
  } else {
    connection.write(request.bytes)
  }
  try {
    const answer = await readFinal(connection, request, request.broken ? HURRY_MS : BOUND_MS)
    judge(seed, request, answer)
    if (answer === 'silent') watch(seed, connection)
    else if (request.broken || answer === 'closed' || answer.closes) connection.destroy()
    else return connection
  } catch (error) {
    problems.push(`seed ${seed}: ${request.kind}: ${String(error)}`)
    connection.destroy()
  }
  return undefined
}

async function readFinal(
  connection: RawConnection,
  { method, broken }: Generated,
  waitMsMax: number,
): Promise<Answer | Unanswered> {
  for (;;) {
    // With a broken head, the service may have read another method than we meant.
    const answer = broken
      ? await connection.anyAnswer(waitMsMax)
      : await connection.answer(method, waitMsMax)
    if (typeof answer === 'string' || answer.status >= 200) return answer
  }
}

function judge(seed: number, request: Generated, answer: Answer | Unanswered): void {
  const wrong: string[] = []
  if (typeof answer === 'string') {
    count(`${request.kind}: ${answer}`)
    if (!request.broken) wrong.push(answer)
  } else {
    count(`${request.kind}: ${answer.page ? 'page ' : ''}${answer.status}`)
    // Under a load like this one some are turned away, and say when to come back.
    const shed = answer.status === 503 && answer.headers.has('retry-after')
    const fits = request.statuses.length === 0 || request.statuses.includes(answer.status)
    if (!KNOWN.has(answer.status) || answer.status === 500 || !(fits || shed)) {
      wrong.push(`${answer.status} instead of ${request.statuses.join()}`)
    }
    if (answer.page && !request.broken) wrong.push('a page')
    if (!answer.page && request.method !== 'HEAD' && !request.broken) checkBody(answer, wrong)
  }
  if (wrong.length === 0) return
  const shown = request.bytes.toString('latin1').slice(0, 600)
  problems.push(`seed ${seed}: ${request.kind}: ${wrong.join('; ')}: ${JSON.stringify(shown)}`)
}

/** Whatever was sent, the connection must be answered or ended in bounded time. */
function watch(seed: number, connection: RawConnection): void {
  const [oldest] = watched
  if (watched.size >= WATCHED_MAX) oldest?.connection.destroy()
  const each = { connection, watching: Promise.resolve() }
  each.watching = connection.anyAnswer(BOUND_MS).then(
    (answer) => {
      watched.delete(each)
      connection.destroy()
      count(`watched: ${typeof answer === 'string' ? answer : answer.status}`)
      if (answer === 'silent') problems.push(`seed ${seed}: neither answered nor ended`)
    },
    (error: unknown) => {
      watched.delete(each)
      problems.push(`seed ${seed}: ${String(error)}`)
    },
  )
  watched.add(each)
}

test(
  `${REQUESTS} random requests from seed ${FIRST_SEED} are answered as they deserve`,
  async () => {
    const startedAtMs = performance.now()
    let next = 0
    const worker = async () => {
      let kept: RawConnection | undefined
      while (next < REQUESTS && problems.length < PROBLEMS_SHOWN) {
        next += 1
        kept = await send(FIRST_SEED + next, kept)
      }
      kept?.destroy()
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    const seconds = (performance.now() - startedAtMs) / 1000
    await Promise.all([...watched].map(({ watching }) => watching))
    if (process.env.EDGE_REQUESTS) report(next / seconds)
    expect(problems).toEqual([])
    expect(fixture.service.child.exitCode).toBe(null)
    expect(fixture.service.lines.filter(({ level }) => level === 'error')).toEqual([])
    expect((await fixture.client.get('/health')).status).toBe(200)
    // Otherwise little would have been tested.
    const good = ['write: 201', 'write: 200', 'list: 200', 'read: 200', 'bad fields: 400']
    for (const name of good) expect(counts.get(name) ?? 0, name).toBeGreaterThan(REQUESTS / 1000)
  },
  60_000 + REQUESTS * 5,
)

function report(perSecond: number): void {
  const lines = [...counts]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, n]) => `${n} ${name}`)
  process.stdout.write(`${Math.round(perSecond)} requests/s\n${lines.join('\n')}\n`)
}
