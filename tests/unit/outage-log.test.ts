import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { PoolEvent } from '../../src/db/slot.ts'
import { ConnectionError } from '../../src/db/wire/error.ts'
import { OutageLog } from '../../src/server/process/outage-log.ts'

const error = new ConnectionError('ECONNREFUSED', 'Cannot connect')
const UNREACHABLE: PoolEvent = { type: 'unreachable', error }
const LOST: PoolEvent = { type: 'lost', error }
const READY: PoolEvent = { type: 'ready' }

interface Written {
  msg: string
  unwritten?: number
}

function openLog(level = 'info'): { outages: OutageLog; lines: Written[] } {
  const lines: Written[] = []
  const logger = pino({ level }, { write: (line) => void lines.push(JSON.parse(line)) })
  return { outages: new OutageLog(logger), lines }
}

test('a failure that goes on is written at once, and after 1, 2, 4, … 60 seconds', () => {
  const { outages, lines } = openLog()
  const writtenAt: number[] = []
  for (let seconds = 0; seconds < 300; seconds += 0.5) {
    const before = lines.length
    outages.write(UNREACHABLE, 1000 * seconds)
    if (lines.length > before) writtenAt.push(seconds)
  }
  expect(writtenAt).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
  // Two a second, of which one in each pause was written.
  expect(lines.map(({ unwritten }) => unwritten ?? 0)).toEqual([
    0, 1, 3, 7, 15, 31, 63, 119, 119, 119,
  ])
})

test('at debug, each failure is written', () => {
  const { outages, lines } = openLog('debug')
  for (let round = 0; round < 5; round += 1) outages.write(UNREACHABLE, 1000)
  expect(lines).toHaveLength(5)
})

test('kinds do not hide each other, and the end of an outage is written once', () => {
  const { outages, lines } = openLog()
  for (const event of [READY, LOST, LOST, UNREACHABLE, UNREACHABLE, READY, READY]) {
    outages.write(event, 10_000)
  }
  expect(lines.map(({ msg }) => msg)).toEqual([
    'Database is reachable',
    'Connection to the database was lost',
    'Database is unreachable',
    'Database is reachable',
  ])
})

test('a new outage is written at once, however long the last one was', () => {
  const { outages, lines } = openLog()
  for (let seconds = 0; seconds <= 130; seconds += 1) outages.write(UNREACHABLE, 1000 * seconds)
  outages.write(READY, 131_000)
  lines.length = 0
  outages.write(UNREACHABLE, 132_000)
  expect(lines.map(({ msg }) => msg)).toEqual(['Database is unreachable'])
})

test('a connection that comes and goes fills no log: a line of each kind a second', () => {
  const { outages, lines } = openLog()
  for (let ms = 0; ms < 10_000; ms += 10) outages.write(ms % 20 === 0 ? LOST : READY, ms)
  const lost = lines.filter(({ msg }) => msg === 'Connection to the database was lost')
  expect(lost).toHaveLength(10)
  expect(lines).toHaveLength(20)
})
