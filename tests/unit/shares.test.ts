import { pino } from 'pino'
import { expect, test } from 'vitest'
import { Census } from '../../src/server/http/census.ts'
import { Shares } from '../../src/server/http/shares.ts'

const LIMITS = { max: 1200, alone: 300, least: 2 }
const log = pino({ level: 'silent' })

/** What each of some clients gets when all take in turn until none gets more. */
function takeAll(shares: Shares, clients: number): number[] {
  const taken = Array.from({ length: clients }, () => 0)
  for (let refused = 0; refused < clients; ) {
    refused = 0
    for (const client of taken.keys()) {
      if (shares.take(`client ${client}`, 1)) taken[client] = (taken[client] ?? 0) + 1
      else refused += 1
    }
  }
  return taken
}

test.each([
  [1, 300],
  [2, 240],
  [9, 100],
])('%i clients that want everything get %i each, and leave room', (clients, each) => {
  const shares = new Shares(LIMITS)
  for (const taken of takeAll(shares, clients)) {
    expect(taken).toBeGreaterThanOrEqual(each - clients)
    expect(taken).toBeLessThanOrEqual(each)
  }
  expect(shares.take('a newcomer', 1)).toBe(true)
})

test('what is given back can be taken again, and nobody gets more than there is', () => {
  const shares = new Shares({ max: 10, alone: 10, least: 0 })
  expect(shares.take('a', 10)).toBe(true)
  expect(shares.hasRoom(1)).toBe(false)
  expect(shares.take('b', 1)).toBe(false)
  shares.giveBack('a', 4)
  expect(shares.take('b', 5)).toBe(false)
  expect(shares.take('b', 4)).toBe(true)
})

test('connections that have ended are counted no more once it matters', async () => {
  const others = 700
  // While so many are taken, one client may have 166.
  const admitAll = async (count: () => Promise<Map<string, number>>) => {
    const census = new Census(LIMITS, count, log)
    const admitted: boolean[] = []
    for (let round = 0; round < 220; round += 1) {
      admitted.push(census.admit('a', others + 1))
      await Promise.resolve()
    }
    return admitted
  }
  expect(await admitAll(() => Promise.resolve(new Map([['a', 1]])))).not.toContain(false)
  expect(await admitAll(() => Promise.resolve(new Map([['a', 90]])))).toContain(false)
})

test('a client cannot have more connections than are open', () => {
  const census = new Census(LIMITS, () => new Promise(() => undefined), log)
  for (let round = 0; round < 2000; round += 1) expect(census.admit('a', 300)).toBe(true)
  expect(census.admit('a', 1000)).toBe(false)
})

test('without a way to count connections, no client is refused', async () => {
  const census = new Census(LIMITS, () => Promise.reject(new Error('no such file')), log)
  const admitted = async (held: number) => {
    await Promise.resolve()
    return census.admit('a', held)
  }
  for (let held = 1; held <= 400; held += 1) expect(await admitted(held)).toBe(true)
})
