// Runs in a thread of its own. Clients who wear a server out: connections that do next to nothing, logins without pause,
// and bodies of the largest size that come in pieces.
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { AnswerParser } from '../../bench/load/answer-parser.ts'
import { json, type SeedUser } from '../../bench/load/scenario.ts'
import { Connection } from '../../bench/load/sender.ts'
import { countStatus, createTally, type Tally } from './tally.ts'

export interface CrowdOptions {
  url: string
  user: SeedUser
  /** Connections that send a request every few seconds, just often enough to be kept. */
  idle: number
  /** Connections that log in again as soon as they have their answer. */
  logins: number
  loginPauseMs: number
  /** Connections that send bodies of the largest size, one after the other. */
  bodies: number
  /** How they are cut; the connections take turns. */
  pieces: readonly Pieces[]
}

export interface Pieces {
  bytes: number
  pauseMs: number
}

export interface CrowdReport {
  idle: Tally
  logins: Tally
  bodies: Tally
}

/** uWebSockets.js closes a connection that is silent for about 10 s. */
const IDLE_MS = 4000
const IDLE_TICK_MS = 10
const OPENED_AT_ONCE = 100
const BODY_BYTES = 65_536
const REFUSED_PAUSE_MS = 100
const ANSWER_WAIT_MS = 15_000

export class Crowd {
  readonly #options: CrowdOptions
  readonly #report: CrowdReport = {
    idle: createTally(),
    logins: createTally(),
    bodies: createTally(),
  }
  readonly #idle: Connection[] = []
  readonly #tasks: Promise<void>[]
  #running = true

  constructor(options: CrowdOptions) {
    this.#options = options
    this.#tasks = [
      this.#stayIdle(),
      ...Array.from({ length: options.logins }, () => this.#logIn()),
      ...Array.from({ length: options.bodies }, (_, number) => {
        const pieces = options.pieces[number % options.pieces.length]
        if (!pieces) throw new Error('Bodies need pieces')
        return this.#sendBodies(pieces)
      }),
    ]
  }

  report(): CrowdReport & { open: number } {
    return { ...this.#report, open: this.#idle.length }
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#tasks)
  }

  /** Opens them first; then they take turns. */
  async #stayIdle(): Promise<void> {
    const { idle } = this.#options
    let sentAtMs = performance.now()
    let due = 0
    let next = 0
    for (let rounds = 0; this.#running; rounds += 1) {
      if (this.#idle.length < idle && rounds % 10 === 0) await this.#openIdle()
      // By the time that has passed: on a busy machine a tick takes longer, and a turn must not.
      const nowMs = performance.now()
      due += ((nowMs - sentAtMs) * idle) / IDLE_MS
      sentAtMs = nowMs
      for (; due >= 1; due -= 1) {
        const connection = this.#idle[next % Math.max(this.#idle.length, 1)]
        next += 1
        if (!connection || connection.busy) continue
        this.#report.idle.sent += 1
        connection.send(performance.now())
      }
      await delay(IDLE_TICK_MS)
    }
    for (const connection of this.#idle) {
      connection.events = undefined
      connection.close()
    }
  }

  async #openIdle(): Promise<void> {
    const { url, user, idle } = this.#options
    const headers = { authorization: `Bearer ${user.token}` }
    const path = `/api/v1/tasks/${user.taskIds[0]}`
    const count = Math.min(OPENED_AT_ONCE, idle - this.#idle.length)
    const opened = await Promise.allSettled(
      Array.from({ length: count }, () => Connection.open(url, [{ method: 'GET', path, headers }])),
    )
    for (const result of opened) {
      if (result.status === 'fulfilled') this.#keep(result.value)
    }
  }

  #keep(connection: Connection): void {
    connection.events = {
      onAnswer: (_, status) => {
        countStatus(this.#report.idle, status)
        connection.sinceMs = -1
      },
      onClose: () => {
        this.#report.idle.lost += 1
        this.#idle.splice(this.#idle.indexOf(connection), 1)
      },
    }
    this.#idle.push(connection)
  }

  async #logIn(): Promise<void> {
    const { url, user, loginPauseMs } = this.#options
    const { email, password } = user
    const request = { method: 'POST' as const, path: '/api/v1/auth/login' }
    while (this.#running) {
      try {
        const opened = await Connection.open(url, [
          { ...request, ...json({}, { email, password }) },
        ])
        let status: number | undefined = 0
        while (this.#running && status !== undefined) {
          status = await exchange(opened, this.#report.logins)
          await delay(loginPauseMs)
        }
        opened.close()
      } catch {
        await delay(REFUSED_PAUSE_MS)
      }
    }
  }

  async #sendBodies(pieces: Pieces): Promise<void> {
    const { url, user } = this.#options
    const tally = this.#report.bodies
    while (this.#running) {
      tally.sent += 1
      const status = await sendBody(new URL(url), user, pieces)
      if (status === undefined) tally.lost += 1
      else countStatus(tally, status)
      if (status !== 201) await delay(REFUSED_PAUSE_MS)
    }
  }
}

/** White space may follow what JSON says. */
const BODY = Buffer.from(JSON.stringify({ title: 'The largest body' }).padEnd(BODY_BYTES))

/** Resolves with the status, or `undefined` when the connection ended without one. */
async function sendBody(
  { hostname, port, host }: URL,
  { token }: SeedUser,
  { bytes, pauseMs }: Pieces,
): Promise<number | undefined> {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const parser = new AnswerParser()
  let status: number | undefined
  let ended = false
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      status ??= parser.push(chunk)
      if (status !== undefined) resolve()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      ended = true
      resolve()
    })
  })
  socket.write(
    `POST /api/v1/tasks HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\n` +
      `content-type: application/json\r\ncontent-length: ${BODY_BYTES}\r\n\r\n`,
  )
  let dueMs = performance.now()
  for (let at = 0; at < BODY_BYTES && status === undefined && !ended; at += bytes) {
    socket.write(BODY.subarray(at, at + bytes))
    dueMs += pauseMs
    // What a busy machine made late is sent at once, so that the body takes as long as it should.
    await delay(Math.max(dueMs - performance.now(), 0))
  }
  await Promise.race([answered, delay(ANSWER_WAIT_MS, undefined, { ref: false })])
  socket.destroy()
  return status
}

/** Sends the next request; resolves with its status, or `undefined` when the connection ended instead. */
function exchange(connection: Connection, tally: Tally): Promise<number | undefined> {
  tally.sent += 1
  return new Promise((resolve) => {
    connection.events = {
      onAnswer: (_, status) => {
        countStatus(tally, status)
        connection.sinceMs = -1
        resolve(status)
      },
      onClose: () => {
        if (connection.busy) tally.lost += 1
        resolve(undefined)
      },
    }
    connection.send(performance.now())
  })
}
