import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress, socketPath } from '../../src/db/address.ts'
import type { Connection } from '../../src/db/wire/connection.ts'
import { Outbox } from '../../src/db/wire/outbox.ts'
import { writeExecute, writePrepare } from '../../src/db/wire/statement.ts'
import { maintenanceUrl } from '../support/database.ts'
import { randomBelow } from '../support/random.ts'
import { codeOf, collect, LIMITS, type Outcome, open } from './conversations.ts'
import { type Lie, makeLie } from './lies.ts'
import {
  GREETING_MESSAGES,
  NUMBERED,
  numberedRow,
  READY,
  type ScriptedServer,
  startScriptedServer,
  tagged,
} from './scripted-server.ts'

/** WIRE_CONVERSATIONS and WIRE_SEED ask for more of them, or for one again. */
const CONVERSATIONS = Number(process.env.WIRE_CONVERSATIONS ?? 2000)
const FIRST_SEED = Number(process.env.WIRE_SEED ?? Date.now() % 1_000_000_000)
const AT_ONCE = 100
const CALLS_MAX = 6
const ROWS_MAX = 4
/** Greeting, preparing, then about five messages for a call. */
const MESSAGES = GREETING_MESSAGES + 4 + 20
/** Long enough for a busy machine: a conversation that is cut short by its deadline tests little. */
const SOON_MS = 600

let server: ScriptedServer
let nextDatabase = 0

beforeAll(async () => {
  server = await startScriptedServer()
})

afterAll(() => server.close())

function openTo(lie: Lie, options = {}): Promise<Connection> {
  const database = `d${nextDatabase}`
  nextDatabase += 1
  server.speakers.set(database, lie.speaker)
  const deadlines = lie.honest ? {} : { connectTimeoutMs: SOON_MS, answerTimeoutMs: SOON_MS }
  const opening = open(server.url.replace('DATABASE', database), { ...deadlines, ...options })
  return opening.finally(() => server.speakers.delete(database))
}

/** Asks for some rows of this number; every row is checked before anybody gets it. */
function ask(connection: Connection, number: number, rows: number): Promise<Outcome> {
  let index = 0
  const { sink, outcome } = collect((row) => {
    index += 1
    const expected = numberedRow(String(number), index, rows)
    if (JSON.stringify(row) !== JSON.stringify(expected)) throw new Error('A row of another call')
  })
  connection.execute(NUMBERED, [String(number), rows], sink)
  return outcome
}

interface Verdict {
  problem?: string
  answered: number
  failed: number
}

/** Holds one conversation; every call must be settled once, with the right rows or with an error. */
async function hold(seed: number): Promise<Verdict> {
  const lie = makeLie(seed, MESSAGES)
  const random = randomBelow(seed + 1)
  const verdict: Verdict = { answered: 0, failed: 0 }
  const fail = (problem: string) => {
    verdict.problem ??= `seed ${seed}: ${lie.name}: ${problem}`
  }
  let closed = 0
  let connection: Connection
  try {
    connection = await openTo(lie, { onClosed: () => (closed += 1) })
    await connection.prepare(NUMBERED)
  } catch (error) {
    if (lie.honest) fail(String(error))
    return verdict
  }
  const asked = Array.from({ length: 1 + random(CALLS_MAX) }, (_, index) => ({
    number: 100 * seed + index,
    rows: 1 + random(ROWS_MAX),
  }))
  const outcomes = await Promise.all(asked.map(({ number, rows }) => ask(connection, number, rows)))
  for (const [index, { rows, settled, error }] of outcomes.entries()) {
    if (settled !== 1) fail(`settled ${settled} times`)
    if (error) verdict.failed += 1
    else verdict.answered += 1
    if (!error && rows.length !== asked[index]?.rows) fail(`${rows.length} rows`)
    if (error && lie.honest) fail(String(error))
    if (error && error.name !== 'PostgresError' && !connection.closed) fail('not closed')
  }
  connection.end()
  if (closed !== 1) fail(`closed ${closed} times`)
  return verdict
}

describe('whatever a server says', () => {
  test(
    `in ${CONVERSATIONS} conversations from seed ${FIRST_SEED}, calls get their own rows or an error`,
    async () => {
      const problems: string[] = []
      const sums = { answered: 0, failed: 0 }
      let next = 0
      const worker = async () => {
        while (next < CONVERSATIONS) {
          const seed = FIRST_SEED + next
          next += 1
          const { problem, answered, failed } = await hold(seed)
          sums.answered += answered
          sums.failed += failed
          if (problem) problems.push(problem)
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
      expect(problems).toEqual([])
      // Otherwise nothing would have been tested.
      expect(sums.answered).toBeGreaterThan(CONVERSATIONS / 4)
      expect(sums.failed).toBeGreaterThan(CONVERSATIONS / 4)
    },
    60_000 + CONVERSATIONS * 20,
  )

  test('split at every position, the answers stay the same', async () => {
    let bytes = 0
    await hold(0)
    const whole: Lie = {
      name: 'counts',
      honest: true,
      speaker: (socket, message) => {
        bytes += message.length
        socket.write(message)
      },
    }
    const first = await openTo(whole)
    await first.prepare(NUMBERED)
    await Promise.all([ask(first, 1, 2), ask(first, 2, 3)])
    first.end()
    for (let cut = 1; cut < bytes; cut += 1) {
      const connection = await openTo({ name: 'splits', honest: true, speaker: splitAt(cut) })
      await connection.prepare(NUMBERED)
      const outcomes = await Promise.all([ask(connection, 1, 2), ask(connection, 2, 3)])
      expect(outcomes.map(({ rows, error }) => error ?? rows.length)).toEqual([2, 3])
      connection.end()
    }
  })

  test('a whole answer that comes twice reaches nobody else', async () => {
    const messages: Buffer[] = []
    const connection = await openTo({
      name: 'repeats the first answer',
      honest: false,
      speaker: (socket, message, position) => {
        socket.write(message)
        if (position < GREETING_MESSAGES + 4) return
        messages.push(message)
        if (message.equals(READY)) socket.write(Buffer.concat(messages.splice(0)))
      },
    })
    await connection.prepare(NUMBERED)
    const [first, second] = await Promise.all([ask(connection, 1, 1), ask(connection, 2, 1)])
    expect(first.rows).toEqual([numberedRow('1', 1, 1)])
    expect(second).toMatchObject({ rows: [], error: { message: 'A row of another call' } })
    expect(connection.closed).toBe(true)
  })

  test('an answer that comes before its call is refused, even without a row', async () => {
    const answer = Buffer.concat([tagged('2'), tagged('C', Buffer.from('SELECT 0\0')), READY])
    const connection = await openTo({
      name: 'answers twice at once',
      honest: false,
      speaker: (socket, message, position) => {
        if (position < GREETING_MESSAGES + 4) socket.write(message)
        else if (message.equals(READY)) socket.write(Buffer.concat([answer, answer]))
      },
    })
    await connection.prepare(NUMBERED)
    const next = new Promise<Outcome>((resolve) => {
      const { sink } = collect()
      const first = { ...sink, done: () => resolve(ask(connection, 2, 1)) }
      connection.execute(NUMBERED, ['1', 1], first)
    })
    expect(await next).toMatchObject({ sent: false, error: { code: 'PROTOCOL_VIOLATION' } })
  })

  test('an answer that nobody has asked for closes the connection', async () => {
    let say: (() => void) | undefined
    const closed = new Promise<Error>((resolve) => {
      const speaker: Lie['speaker'] = (socket, message) => {
        socket.write(message)
        say = () => socket.write(READY)
      }
      void openTo({ name: 'speaks', honest: true, speaker }, { onClosed: resolve }).then(() =>
        say?.(),
      )
    })
    expect(await closed).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
  })

  test('a length that is announced costs no memory before the bytes come', async () => {
    const bytesMax = 256 * 1024 * 1024
    const announced = Buffer.alloc(5)
    announced.write('D')
    announced.writeInt32BE(bytesMax, 1)
    const before = process.memoryUsage().arrayBuffers
    const lie: Lie = {
      name: 'announces much',
      honest: false,
      speaker: (socket, message, position) => {
        if (position < GREETING_MESSAGES + 4) socket.write(message)
        else if (position === GREETING_MESSAGES + 5)
          socket.write(Buffer.concat([tagged('2'), announced]))
      },
    }
    const limits = { messageBytesMax: bytesMax, replyBytesMax: bytesMax, answerTimeoutMs: 300 }
    const connections = await Promise.all(Array.from({ length: 20 }, () => openTo(lie, limits)))
    await Promise.all(connections.map((connection) => connection.prepare(NUMBERED)))
    const outcomes = Promise.all(connections.map((connection) => ask(connection, 1, 1)))
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
    for (const { error } of await outcomes) expect(error).toMatchObject({ code: 'ETIMEDOUT' })
  })

  test('a server that talks without end at start is cut off', async () => {
    const speaker: Lie['speaker'] = (socket, message, position) => {
      socket.write(message)
      if (position !== 0) return
      const notice = tagged('S', Buffer.from(`name\0${'x'.repeat(10_000)}\0`))
      for (let count = 0; count < 100; count += 1) socket.write(notice)
    }
    const opening = openTo({ name: 'talks', honest: false, speaker }, { connectTimeoutMs: 5000 })
    expect(await codeOf(opening)).toBe('REPLY_TOO_LARGE')
  })
})

/** All of the conversation's bytes are sent as they are, but for a pause behind the byte of this number. */
function splitAt(cut: number): Lie['speaker'] {
  let said = 0
  let queue = Promise.resolve()
  return (socket, message) => {
    const at = cut - said
    said += message.length
    const parts =
      at > 0 && at < message.length ? [message.subarray(0, at), message.subarray(at)] : [message]
    for (const part of parts) {
      queue = queue.then(async () => {
        socket.write(part)
        if (parts.length > 1) await new Promise((resolve) => setImmediate(resolve))
      })
    }
  }
}

test('the scripted server says, byte for byte, what PostgreSQL says', async () => {
  const connection = await openTo({ name: 'honest', honest: true, speaker: recordTo(scripted) })
  await connection.prepare(NUMBERED)
  await Promise.all([ask(connection, 7, 3), ask(connection, 8, 1)])
  connection.end()
  const real = await askPostgres()
  expect(Buffer.concat(scripted.slice(GREETING_MESSAGES)).toString('latin1')).toBe(
    real.toString('latin1'),
  )
})

const scripted: Buffer[] = []

function recordTo(messages: Buffer[]): Lie['speaker'] {
  return (socket, message) => {
    messages.push(message)
    socket.write(message)
  }
}

/** The same conversation with PostgreSQL, over a bare socket; answers what follows the greeting. */
async function askPostgres(): Promise<Buffer> {
  const [host] = readAddress(maintenanceUrl()).hosts
  const socket = connect({ path: (host && socketPath(host)) ?? '' })
  await once(socket, 'connect')
  const startup = Buffer.from('\0\0\0\0\0\x03\0\0user\0postgres\0database\0postgres\0\0')
  startup.writeInt32BE(startup.length)
  socket.write(startup)
  let heard = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    heard = Buffer.concat([heard, bytes])
  })
  await expect.poll(() => heard.subarray(-READY.length).equals(READY)).toBe(true)
  const greeting = heard.length
  const out = new Outbox(LIMITS.queuedBytesMax)
  writePrepare(out, NUMBERED)
  writeExecute(out, NUMBERED, ['7', 3])
  writeExecute(out, NUMBERED, ['8', 1])
  socket.write(out.bytes.subarray(0, out.length))
  const count = () =>
    heard.subarray(greeting).toString('latin1').split(READY.toString('latin1')).length
  await expect.poll(count).toBe(4)
  socket.destroy()
  return heard.subarray(greeting)
}
