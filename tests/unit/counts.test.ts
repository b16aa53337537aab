import { afterEach, expect, test, vi } from 'vitest'
import { type Family, lastingOf, mergeParts } from '../../src/stats/families.ts'
import { Histogram } from '../../src/stats/histogram.ts'
import { ListenerCounts } from '../../src/workers/counts.ts'

function counter(value: number, label = 'a'): Family {
  const series = [{ labels: [label], values: [value] }]
  return { name: 'requests', type: 'counter', perProcess: false, series }
}

function gauge(value: number): Family {
  return {
    name: 'heap',
    type: 'gauge',
    perProcess: true,
    series: [{ labels: [], values: [value] }],
  }
}

/** A listener that remembers the rounds that it was asked for. */
class Asked {
  readonly rounds: number[] = []
  ask(round: number): boolean {
    this.rounds.push(round)
    return true
  }
  get last(): number {
    return this.rounds.at(-1) ?? 0
  }
}

function valueOf(families: readonly Family[], name: string, label?: string): number | undefined {
  const series = families.find((family) => family.name === name)?.series ?? []
  return series.find(({ labels }) => label === undefined || labels[0] === label)?.values[0]
}

afterEach(() => {
  vi.useRealTimers()
})

test('a histogram counts a value in the first bucket that it fits into', () => {
  const histogram = new Histogram([1, 2, 4])
  for (const value of [0, 1, 1.5, 2, 4, 5]) histogram.add(value)
  expect([...histogram.counts]).toEqual([2, 2, 1, 1])
  expect(histogram.sum).toBe(13.5)
})

test('what processes have counted is added up by labels, and what is of each stays apart', () => {
  const merged = mergeParts([
    { process: '1', families: [counter(1), counter(2), counter(4, 'b'), gauge(10)] },
    { process: '2', families: [counter(8), gauge(20)] },
  ])
  expect(valueOf(merged, 'requests', 'a')).toBe(11)
  expect(valueOf(merged, 'requests', 'b')).toBe(4)
  expect(merged[1]?.series).toEqual([
    { labels: ['1'], values: [10] },
    { labels: ['2'], values: [20] },
  ])
  expect(lastingOf(merged).map(({ name }) => name)).toEqual(['requests'])
})

test('an answer to an earlier question is not taken for a new one, and readers share a question', async () => {
  const [one, two] = [new Asked(), new Asked()]
  const counts = new ListenerCounts([one, two], false)
  const first = counts.read()
  expect(counts.read()).toBe(first)
  counts.receive(one, one.last, [counter(1)])
  counts.receive(two, two.last, [counter(2)])
  expect(valueOf((await first).families, 'requests')).toBe(3)
  const second = counts.read()
  counts.receive(one, one.last - 1, [counter(0)])
  counts.receive(one, one.last, [counter(5)])
  counts.receive(two, two.last, [counter(2)])
  expect(valueOf((await second).families, 'requests')).toBe(7)
})

test('a dead listener keeps what it had counted, once, and its successor starts at nothing', async () => {
  const listener = new Asked()
  const counts = new ListenerCounts([listener], false)
  for (const value of [7, 3]) {
    const read = counts.read()
    counts.receive(listener, listener.last, [counter(value), gauge(1)])
    await read
    counts.keep(listener)
  }
  const read = counts.read()
  counts.receive(listener, listener.last, [counter(1)])
  const { families } = await read
  expect(valueOf(families, 'requests')).toBe(11)
  expect(valueOf(families, 'heap')).toBeUndefined()
})

test('a listener that never answers holds up a reader for a while only, and is not asked for ever', async () => {
  vi.useFakeTimers()
  const listener = new Asked()
  const counts = new ListenerCounts([listener], true)
  for (let turn = 0; turn < 5; turn += 1) {
    const read = counts.read()
    await vi.advanceTimersByTimeAsync(2000)
    const { families, stale } = await read
    expect(families).toEqual([])
    expect(stale.get('1')).toBe(true)
  }
  expect(listener.rounds.length).toBe(3)
  counts.close()
})

test('the death of a listener ends the wait for its answer', async () => {
  const listener = new Asked()
  const counts = new ListenerCounts([listener], false)
  const read = counts.read()
  counts.keep(listener)
  expect((await read).stale.get('1')).toBe(false)
})
