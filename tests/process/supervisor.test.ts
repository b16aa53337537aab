import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { Supervisor } from '../../src/workers/supervisor.ts'
import { eventually } from '../support/client.ts'
import type { KnownListener } from '../support/known-listener.ts'

const ENTRY = fileURLToPath(new URL('../support/known-listener.ts', import.meta.url))
const LISTENING = { type: 'listening' }

let started: Supervisor | undefined

afterEach(() => {
  started?.terminate()
})

/** Starts listeners with this behaviour, and keeps what was reported. */
function supervise(listeners: number, behaviour: KnownListener) {
  const unexpected: unknown[] = []
  const reasons: string[] = []
  const supervisor = new Supervisor({
    entry: ENTRY,
    arguments: [JSON.stringify(behaviour)],
    execArguments: [],
    env: { PATH: process.env.PATH },
    listeners,
    drainDelayMs: 0,
    shutdownTimeoutMs: 5000,
    onReplaced: ({ reason }) => reasons.push(reason),
    onUnexpected: ({ type }) => unexpected.push(type),
  })
  started = supervisor
  return { supervisor, unexpected, reasons }
}

test('a listener that sends only unknown messages has not started', async () => {
  const { supervisor, unexpected } = supervise(1, {
    sends: [{ type: 'ready' }, {}, 'listening', 7, null],
    exitsAfterMs: 300,
  })
  await expect(supervisor.started).rejects.toThrow('Listener ended while starting (exit code 3)')
  expect(unexpected).toEqual(['ready', undefined, undefined, undefined, undefined])
})

test('unknown messages do not disturb listeners that have started', async () => {
  const { supervisor, unexpected, reasons } = supervise(2, {
    sends: [LISTENING, { type: 'stopping' }],
    exitsAfterMs: 0,
  })
  await supervisor.started
  await eventually('the unknown messages', () => unexpected.length === 2)
  expect(reasons).toEqual([])
  expect(await supervisor.drain()).toBe(true)
})

test('a drain ends a start that waits for a listener', async () => {
  const { supervisor, reasons } = supervise(1, { sends: [], exitsAfterMs: 0 })
  const [start, drain] = await Promise.allSettled([supervisor.started, supervisor.drain()])
  expect(start).toMatchObject({ status: 'rejected', reason: { message: 'Stopped while starting' } })
  expect(drain).toEqual({ status: 'fulfilled', value: true })
  expect(reasons).toEqual([])
})
