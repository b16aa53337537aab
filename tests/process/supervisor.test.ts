import { createConnection } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { probePort } from '../../src/server/process/claims.ts'
import { Supervisor } from '../../src/workers/supervisor.ts'
import { eventually } from '../support/client.ts'
import type { KnownListener } from '../support/known-listener.ts'

const ENTRY = fileURLToPath(new URL('../support/known-listener.ts', import.meta.url))
const LISTENING = { type: 'listening' }
/** Unknown to a supervisor, which reports it with its sender. */
const UP = { type: 'up' }
const SILENCE_MS_MAX = 1000
const HEALTHY = { sends: [LISTENING, UP], exitsAfterMs: 0, beatsEveryMs: 50 }
const FAILING = { sends: [UP], exitsAfterMs: 1 }

let started: Supervisor | undefined

afterEach(() => {
  started?.terminate()
})

interface Supervised {
  supervisor: Supervisor
  unexpected: unknown[]
  /** Processes that have sent `UP`, the dead ones included. */
  up: number[]
  replaced: { pid: number | undefined; reason: string; delayMs: number }[]
  silent: (number | undefined)[]
}

/** Starts listeners with this behaviour, whose replacements may have another, and keeps what was reported. */
function supervise(listeners: number, behaviour: KnownListener, replacement = behaviour) {
  const kept: Omit<Supervised, 'supervisor'> = { unexpected: [], up: [], replaced: [], silent: [] }
  const words = [JSON.stringify(behaviour)]
  const supervisor = new Supervisor({
    entry: ENTRY,
    arguments: words,
    execArguments: [],
    env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR },
    listeners,
    silenceMsMax: SILENCE_MS_MAX,
    drainDelayMs: 0,
    shutdownTimeoutMs: 5000,
    keepsCounts: false,
    onReplaced: ({ listener_pid: pid, reason, delay_ms: delayMs }) => {
      kept.replaced.push({ pid, reason, delayMs })
    },
    onSilent: ({ listener_pid }) => kept.silent.push(listener_pid),
    onUnexpected: ({ type, listener_pid }) => {
      if (type === UP.type && listener_pid) kept.up.push(listener_pid)
      else kept.unexpected.push(type)
    },
  })
  started = supervisor
  // Only replacements are started later.
  words[0] = JSON.stringify(replacement)
  return { ...kept, supervisor }
}

/** Each has listened, and its process is known. */
async function allUp({ supervisor, up }: Supervised, listeners: number): Promise<void> {
  await supervisor.started
  await eventually('the listeners', () => up.length === listeners)
}

function isGreeted(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.setTimeout(2000, () => socket.destroy())
    socket.once('data', () => resolve(true))
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(false))
  })
}

const delaysOf = ({ replaced }: Supervised) => replaced.map(({ delayMs }) => delayMs)

test('a listener that sends only unknown messages has not started', async () => {
  const { supervisor, unexpected } = supervise(1, {
    sends: [{ type: 'ready' }, {}, 'listening', 7, null],
    exitsAfterMs: 300,
  })
  await expect(supervisor.started).rejects.toThrow('Listener ended while starting (exit code 3)')
  expect(unexpected).toEqual(['ready', undefined, undefined, undefined, undefined])
})

test('unknown messages do not disturb listeners that have started', async () => {
  const { supervisor, unexpected, replaced } = supervise(2, {
    sends: [LISTENING, { type: 'stopping' }],
    exitsAfterMs: 0,
    beatsEveryMs: 50,
  })
  await supervisor.started
  await eventually('the unknown messages', () => unexpected.length === 2)
  expect(replaced).toEqual([])
  expect(await supervisor.drain()).toBe(true)
})

test('a drain ends a start that waits for a listener', async () => {
  const { supervisor, replaced } = supervise(1, { sends: [], exitsAfterMs: 0 })
  const [start, drain] = await Promise.allSettled([supervisor.started, supervisor.drain()])
  expect(start).toMatchObject({ status: 'rejected', reason: { message: 'Stopped while starting' } })
  expect(drain).toEqual({ status: 'fulfilled', value: true })
  expect(replaced).toEqual([])
})

test('listeners that are killed again and again are replaced without a delay', async () => {
  const supervised = supervise(2, HEALTHY)
  await supervised.supervisor.started
  for (let round = 0; round < 8; round += 1) {
    await eventually('the replacement', () => supervised.up.length === 2 + round)
    process.kill(supervised.up[round] ?? 0, 'SIGKILL')
    await eventually('its death', () => supervised.replaced.length === 1 + round)
  }
  expect(delaysOf(supervised)).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
})

test('while listeners are killed ten times a second, the port is served', async () => {
  const port = await probePort('127.0.0.1', 0)
  const supervised = supervise(4, { ...HEALTHY, port })
  await allUp(supervised, 4)
  let servedAtMs = performance.now()
  let longestGapMs = 0
  const untilMs = servedAtMs + 5000
  const clients = Array.from({ length: 2 }, async () => {
    while (performance.now() < untilMs) {
      const greeted = await isGreeted(port)
      const now = performance.now()
      longestGapMs = Math.max(longestGapMs, now - servedAtMs)
      if (greeted) servedAtMs = now
      await setTimeout(5)
    }
  })
  for (let victim = 0; performance.now() < untilMs; await setTimeout(100)) {
    if (victim === supervised.up.length) continue
    process.kill(supervised.up[victim] ?? 0, 'SIGKILL')
    victim += 1
  }
  await Promise.all(clients)
  expect(supervised.replaced.length).toBeGreaterThan(10)
  // Promised is 1 s, to a machine that has nothing else to do.
  expect(longestGapMs).toBeLessThan(3000)
})

test('a start that keeps failing is repeated more and more slowly, and delays no other listener', async () => {
  const supervised = supervise(3, HEALTHY, FAILING)
  await allUp(supervised, 3)
  const [first = 0, second = 0] = supervised.up
  process.kill(first, 'SIGKILL')
  await eventually('failures', () => supervised.replaced.length === 5)
  expect(delaysOf(supervised)).toEqual([0, 0, 100, 200, 400])
  process.kill(second, 'SIGKILL')
  await eventually('the second death', () => supervised.replaced.some(({ pid }) => pid === second))
  expect(supervised.replaced.find(({ pid }) => pid === second)?.delayMs).toBe(0)
})

test('while no listener is left, one is started early, but never many at once', async () => {
  const supervised = supervise(2, HEALTHY, FAILING)
  await allUp(supervised, 2)
  for (const pid of supervised.up.slice()) process.kill(pid, 'SIGKILL')
  await eventually('sixteen failures', () => supervised.replaced.length >= 18)
  const since = performance.now()
  // By themselves, both would now wait for more than 6 s.
  await eventually('early starts', () => supervised.replaced.length >= 22)
  expect(performance.now() - since).toBeGreaterThan(1000)
})

test('a listener whose event loop stands still is killed and replaced, and no other is', async () => {
  const supervised = supervise(3, HEALTHY)
  await allUp(supervised, 3)
  const victim = supervised.up[1] ?? 0
  process.kill(victim, 'SIGSTOP')
  await eventually('the replacement', () => supervised.up.length === 4)
  expect(supervised.silent).toEqual([victim])
  expect(supervised.replaced).toEqual([{ pid: victim, reason: 'SIGKILL', delayMs: 0 }])
  expect(await supervised.supervisor.drain()).toBe(true)
})

test('silence does not count while the supervisor itself does not run in time', async () => {
  const supervised = supervise(2, HEALTHY)
  await allUp(supervised, 2)
  for (const pid of supervised.up) process.kill(pid, 'SIGSTOP')
  const nap = new Int32Array(new SharedArrayBuffer(4))
  for (let round = 0; round < 10; round += 1) {
    Atomics.wait(nap, 0, 0, 0.4 * SILENCE_MS_MAX)
    await setTimeout(1)
  }
  expect(supervised.silent).toEqual([])
  await eventually('both replacements', () => supervised.up.length === 4)
  expect(supervised.silent.length).toBe(2)
})
