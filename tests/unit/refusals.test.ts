import { describe, expect, test } from 'vitest'
import { Refusals } from '../../src/server/http/refusals.ts'

const BURST = 256

/** A request that is turned away, and whether it has heard of it. */
class Client {
  ended = false

  resume(): void {
    this.ended = true
  }
}

function refuse(refusals: Refusals, count: number, nowMs = 0): Client[] {
  return Array.from({ length: count }, () => {
    const client = new Client()
    if (!refusals.hold(client, nowMs)) client.resume()
    return client
  })
}

function heard(clients: readonly Client[]): boolean[] {
  return clients.map(({ ended }) => ended)
}

describe('refusals', () => {
  test('go out at once as long as they are few', () => {
    const clients = refuse(new Refusals(), BURST + 1)
    expect(heard(clients).lastIndexOf(true)).toBe(BURST - 1)
  })

  test('beyond that, each four answers bring the next, and the first comes first', () => {
    const refusals = new Refusals()
    refuse(refusals, BURST)
    const clients = refuse(refusals, 3)
    const seen = Array.from({ length: 8 }, () => {
      refusals.countAnswer()
      refusals.release(1)
      return heard(clients).filter(Boolean).length
    })
    expect(seen).toEqual([0, 0, 0, 1, 1, 1, 1, 2])
    expect(heard(clients)).toEqual([true, true, false])
  })

  test('one that comes while others wait waits behind them', () => {
    const refusals = new Refusals()
    refuse(refusals, BURST)
    const [first] = refuse(refusals, 1)
    refusals.countTime(1)
    const [second] = refuse(refusals, 1)
    refusals.release(1)
    expect([first?.ended, second?.ended]).toEqual([true, false])
  })

  test('a thousand go out in a second in which nothing is answered', () => {
    const refusals = new Refusals()
    refuse(refusals, BURST)
    const clients = refuse(refusals, 2000)
    for (let nowMs = 50; nowMs <= 1000; nowMs += 50) {
      refusals.countTime(50)
      refusals.release(nowMs)
    }
    expect(heard(clients).filter(Boolean)).toHaveLength(1000)
  })

  test('none waits longer than two seconds', () => {
    const refusals = new Refusals()
    refuse(refusals, BURST)
    const clients = [...refuse(refusals, 100, 0), ...refuse(refusals, 1, 500)]
    refusals.release(1999)
    expect(heard(clients)).not.toContain(true)
    refusals.release(2001)
    expect(heard(clients).indexOf(false)).toBe(100)
  })

  test('a client that has gone neither costs one nor keeps its place', () => {
    const refusals = new Refusals()
    refuse(refusals, BURST)
    const clients = refuse(refusals, 3)
    for (const client of clients.slice(0, 2)) client.ended = true
    refusals.countTime(1)
    refusals.release(1)
    expect(clients[2]?.ended).toBe(true)
  })

  test('a calm time saves up no more than one burst', () => {
    const refusals = new Refusals()
    refusals.countTime(60_000)
    for (let count = 0; count < 100_000; count += 1) refusals.countAnswer()
    expect(heard(refuse(refusals, 2 * BURST)).filter(Boolean)).toHaveLength(BURST)
  })
})
