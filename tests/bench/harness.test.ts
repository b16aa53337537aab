import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { AnswerParser } from '../../bench/load/answer-parser.ts'
import { runClosedLoop } from '../../bench/load/closed-loop.ts'
import { OpenLoop } from '../../bench/load/open-loop.ts'
import { SaturatingLoop } from '../../bench/load/saturating-loop.ts'
import { measureLoad } from '../../bench/measure/load.ts'
import { jsonScenario } from '../../bench/scenarios/json.ts'
import { createDatabase } from '../support/database.ts'
import type { KnownBehaviour } from '../support/known-server.ts'
import { startService } from '../support/service.ts'

const KNOWN = fileURLToPath(new URL('../support/known-server.ts', import.meta.url))
const BENCH = fileURLToPath(new URL('../../bench/run.ts', import.meta.url))
const NONE: KnownBehaviour = {
  delayMs: 0,
  slowEvery: 0,
  slowMs: 0,
  stallAtMs: 0,
  stallMs: 0,
  failEvery: 0,
}

async function withKnownServer<T>(
  behaviour: Partial<KnownBehaviour>,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const child = spawn(process.execPath, [KNOWN, JSON.stringify({ ...NONE, ...behaviour })])
  const [port] = await once(child.stdout, 'data')
  try {
    return await use(`http://127.0.0.1:${Number(port)}`)
  } finally {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
}

function load(url: string) {
  return {
    url,
    connections: 64,
    statuses: jsonScenario.statuses,
    requests: () => jsonScenario.requests([], Math.random),
    signal: new AbortController().signal,
  }
}

/** Passes within 5 % or 50 us, whichever is more. */
function expectAbout(foundUs: number, trueMs: number): void {
  const tolerance = Math.max(50, trueMs * 1000 * 0.05)
  expect(Math.abs(foundUs - trueMs * 1000)).toBeLessThanOrEqual(tolerance)
}

test('the open loop is right about a known delay: p50 and p99', { retry: 5 }, async () => {
  const behaviour = { delayMs: 20, slowEvery: 50, slowMs: 100 }
  const { latency, errors } = await withKnownServer(behaviour, (url) =>
    OpenLoop.run({ ...load(url), requestsPerSecond: 500, durationSeconds: 4 }),
  )
  expect(errors).toBe(0)
  expect(latency.count).toBe(2000)
  expectAbout(latency.p50_us, 20)
  // One in 50 is slow, so the slowest hundredth is among them.
  expectAbout(latency.p99_us, 100)
})

test('the open loop does not hide a stall, as a closed loop does', { retry: 5 }, async () => {
  const behaviour = { delayMs: 2, stallAtMs: 1500, stallMs: 1000 }
  const open = await withKnownServer(behaviour, (url) =>
    OpenLoop.run({ ...load(url), requestsPerSecond: 400, durationSeconds: 5 }),
  )
  expect(open.errors).toBe(0)
  expect(open.latency.count).toBe(2000)
  // Of 5 s of requests, those of 1 s were due during the stall and waited for its rest: 0 to 1000 ms, evenly. The
  // slowest hundredth of all is the slowest twentieth of these: above 950 ms.
  expectAbout(open.latency.p99_us, 950)
  expectAbout(open.latency.p90_us, 500)
  expectAbout(open.latency.max_us, 1000)

  const closed = await withKnownServer(behaviour, (url) =>
    runClosedLoop({ ...load(url), connections: 4, durationSeconds: 5 }),
  )
  expect(closed.latency.p99_us).toBeLessThan(100_000)
})

test('the closed loop is right about a known delay, in microseconds', { retry: 5 }, async () => {
  const closed = await withKnownServer({ delayMs: 20 }, (url) =>
    runClosedLoop({ ...load(url), connections: 10, durationSeconds: 2 }),
  )
  expect(closed.errors).toBe(0)
  expectAbout(closed.latency.p50_us, 20)
  expect(closed.requests_per_second).toBeGreaterThan(400)
  expect(closed.requests_per_second).toBeLessThanOrEqual(500)
})

test('the saturating loop counts and times each request right', { retry: 5 }, async () => {
  const closed = await withKnownServer({ delayMs: 20, slowEvery: 50, slowMs: 100 }, (url) =>
    SaturatingLoop.run({ ...load(url), connections: 10, durationSeconds: 2 }),
  )
  expect(closed.errors).toBe(0)
  expectAbout(closed.latency.p50_us, 20)
  expectAbout(closed.latency.p99_us, 100)
  // 49 of 50 take 20 ms and one takes 100 ms: 21.6 ms on average, over 10 connections.
  expect(closed.requests_per_second).toBeGreaterThan(463 * 0.93)
  expect(closed.requests_per_second).toBeLessThanOrEqual(463 * 1.02)
})

test('the saturating loop asks faster than autocannon, for less CPU', { retry: 5 }, async () => {
  await withKnownServer({ delayMs: 0 }, async (url) => {
    const usual = await runClosedLoop({ ...load(url), connections: 8, durationSeconds: 1 })
    const raw = await SaturatingLoop.run({ ...load(url), connections: 8, durationSeconds: 1 })
    const cost = ({ generator_cpu, requests_per_second }: typeof raw) =>
      generator_cpu / requests_per_second
    expect(cost(raw)).toBeLessThan(cost(usual) * 0.7)
  })
})

test('the saturating loop ends when it is stopped, and when its server has ended', async () => {
  const child = spawn(process.execPath, [KNOWN, JSON.stringify({ ...NONE, delayMs: 1 })])
  const [port] = await once(child.stdout, 'data')
  const options = { ...load(`http://127.0.0.1:${Number(port)}`), connections: 4 }
  const stopped = SaturatingLoop.run({
    ...options,
    durationSeconds: 60,
    signal: AbortSignal.timeout(200),
  })
  await expect(stopped).rejects.toThrow(/timeout/)
  setTimeout(() => child.kill('SIGKILL'), 300)
  const { errors } = await SaturatingLoop.run({ ...options, durationSeconds: 60 })
  expect(errors).toBe(4)
})

test('a rate that a server cannot sustain is not offered to it', async () => {
  await withKnownServer({ delayMs: 20 }, async (url) => {
    const measure = (perSecond: number) =>
      measureLoad(
        url,
        jsonScenario,
        [],
        { connections: 10, warmupSeconds: 0.2, durationSeconds: 1, rate: { perSecond } },
        new AbortController().signal,
      )
    // 10 connections at 20 ms: 500 a second at most.
    const beyond = await measure(480)
    expect(beyond.unsustainable_per_second).toBe(480)
    expect(beyond.open).toBeUndefined()
    const within = await measure(300)
    expect(within.unsustainable_per_second).toBeUndefined()
    expect(within.open?.latency.count).toBe(300)
  })
})

test('the same rate is offered without the background load, then beside it', async () => {
  const requests = () => jsonScenario.requests([], Math.random)
  const background = { connections: 2, statuses: [200], requests }
  await withKnownServer({ delayMs: 5 }, async (url) => {
    const { calm, open } = await measureLoad(
      url,
      { ...jsonScenario, background },
      [],
      { connections: 4, warmupSeconds: 0.2, durationSeconds: 1, rate: { perSecond: 200 } },
      new AbortController().signal,
    )
    expect(calm).toMatchObject({ offered_per_second: 200, errors: 0, latency: { count: 200 } })
    expect(open).toMatchObject({ offered_per_second: 200, errors: 0, latency: { count: 200 } })
  })
})

test('wrong statuses are errors in every loop', async () => {
  await withKnownServer({ delayMs: 1, failEvery: 10 }, async (url) => {
    const open = await OpenLoop.run({ ...load(url), requestsPerSecond: 200, durationSeconds: 1 })
    expect(open.errors).toBe(20)
    const closed = await runClosedLoop({ ...load(url), connections: 4, durationSeconds: 1 })
    expect(closed.errors).toBeGreaterThan(10)
    const raw = await SaturatingLoop.run({ ...load(url), connections: 4, durationSeconds: 1 })
    expect(raw.errors).toBeGreaterThan(10)
  })
})

test('a server that dies is an error, and the open loop ends', async () => {
  const child = spawn(process.execPath, [KNOWN, JSON.stringify({ ...NONE, delayMs: 1 })])
  const [port] = await once(child.stdout, 'data')
  setTimeout(() => child.kill('SIGKILL'), 500)
  const result = await OpenLoop.run({
    ...load(`http://127.0.0.1:${Number(port)}`),
    connections: 4,
    requestsPerSecond: 50,
    durationSeconds: 1,
  })
  expect(result.errors).toBeGreaterThan(10)
})

test.each([
  ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 200],
  ['HTTP/1.1 204 No Content\r\n\r\n', 204],
  ['HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 200],
])('answers are read however they are cut: %j', (text, status) => {
  const bytes = Buffer.from(text)
  for (const size of [1, 2, 7, bytes.length]) {
    const parser = new AnswerParser()
    const found: (number | undefined)[] = []
    for (let at = 0; at < bytes.length; at += size)
      found.push(parser.push(bytes.subarray(at, at + size)))
    expect(found.filter((value) => value !== undefined)).toEqual([status])
    expect(found.at(-1)).toBe(status)
  }
})

test('npm run bench measures a service that was started by hand', async () => {
  const database = await createDatabase()
  const service = await startService(database.url)
  const args = ['--target', service.url, '--scenarios', 'json,task-read,mixed']
  const short = ['--rounds', '1', '--duration', '1', '--warmup', '1', '--connections', '8']
  const { stdout } = await promisify(execFile)(process.execPath, [BENCH, ...args, ...short])
  for (const name of ['json', 'task-read', 'mixed']) {
    const table = stdout.split(`## ${name}\n`)[1] ?? ''
    const cells = table
      .split('\n')
      .find((line) => line.startsWith(`| ${service.url}`))
      ?.split('|')
    expect(Number(cells?.[2]?.replace(/[ ^]/g, ''))).toBeGreaterThan(50)
    expect(cells?.[8]).toMatch(/\d ms/)
  }
  expect(stdout).not.toContain('failed')
  await service.stop()
  await database.drop()
}, 60_000)
