// The check of histories itself: it accepts what an order explains, and refuses what none does.
import { expect, test } from 'vitest'
import { seededRandom } from '../../bench/load/scenario.ts'
import { findViolation, type Operation } from './history.ts'

function write(value: string, startedAt: number, endedAt: number): Operation {
  return { kind: 'write', value, startedAt, endedAt }
}

function read(value: string, startedAt: number, endedAt: number): Operation {
  return { kind: 'read', value, startedAt, endedAt }
}

const first = write('first', 0, 1)

test.each<[string, Operation[]]>([
  ['reads after the write', [first, read('first', 2, 3), write('next', 4, 5), read('next', 6, 7)]],
  [
    'reads during the write, of either value',
    [first, write('next', 2, 9), read('first', 3, 4), read('next', 5, 6)],
  ],
  [
    'a write of unknown outcome that happened',
    [first, write('lost', 2, Infinity), read('first', 3, 4), read('lost', 9, 10)],
  ],
  [
    'a write of unknown outcome that never happened',
    [first, write('lost', 2, Infinity), read('first', 8, 9)],
  ],
  [
    'two writes at once, read in one order',
    [first, write('one', 2, 9), write('two', 2, 9), read('two', 3, 4), read('one', 5, 6)],
  ],
])('accepts %s', (_, operations) => {
  expect(findViolation(operations)).toBe(undefined)
})

test.each<[string, Operation[]]>([
  ['a value that nobody wrote', [first, read('ghost', 2, 3)]],
  ['a read from the future', [first, read('next', 2, 3), write('next', 4, 5)]],
  ['a write that was acknowledged and is lost', [first, write('next', 2, 3), read('first', 4, 5)]],
  [
    'a value that comes back',
    [first, write('next', 2, 3), read('next', 4, 5), read('first', 6, 7)],
  ],
  [
    'two values that alternate',
    [
      first,
      write('one', 2, 9),
      write('two', 2, 9),
      read('one', 3, 4),
      read('two', 5, 6),
      read('one', 7, 8),
    ],
  ],
  [
    'a write that is skipped while another value stays',
    [first, read('first', 1, 2), write('next', 3, 4), read('first', 5, 6)],
  ],
])('refuses %s', (_, operations) => {
  expect(findViolation(operations)).not.toBe(undefined)
})

test('accepts every history of a real register, and refuses it once a read is swapped for a stale one', () => {
  const random = seededRandom(1)
  for (let round = 0; round < 200; round += 1) {
    const operations: Operation[] = [first]
    let value = 'first'
    for (let time = 10; time < 500; time += 10) {
      // Each takes effect at `time`, and is seen to start and end at some time around it.
      const span: [number, number] = [time - random() * 30, time + random() * 30]
      if (random() < 0.5) {
        operations.push(read(value, ...span))
      } else {
        value = `value ${time}`
        operations.push(write(value, ...span))
      }
    }
    expect(findViolation(operations)).toBe(undefined)
    const stale = [...operations, write('last', 600, 601), read(value, 602, 603)]
    expect(findViolation(stale)).not.toBe(undefined)
  }
})
