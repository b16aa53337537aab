import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { changeDriver, DRIVER_CHANGES } from '../../build/driver-changes.ts'

/** A module of the driver, as it is published and as it is changed. */
async function load<T>(name: string): Promise<{ published: T; changed: T }> {
  const url = new URL(`../../node_modules/postgres/src/${name}`, import.meta.url)
  const changed = changeDriver(url.href, readFileSync(url, 'utf8')) ?? ''
  return {
    published: (await import(url.href)).default,
    changed: (await import(`data:text/javascript,${encodeURIComponent(changed)}`)).default,
  }
}

interface Queue {
  length: number
  push(item: number): void
  shift(): number | undefined
  remove(item: number): number | null
}

test('each change finds its text, and a file without one is left alone', () => {
  for (const { file } of DRIVER_CHANGES) {
    const source = readFileSync(new URL(`../../node_modules${file}`, import.meta.url), 'utf8')
    expect(changeDriver(file, source)).not.toBe(source)
    expect(() => changeDriver(file, 'something else')).toThrow(
      'lacks the text that driver-changes.ts replaces',
    )
  }
  expect(changeDriver('/postgres/src/index.js', 'anything')).toBeUndefined()
})

test('a changed result has what the published one has', async () => {
  const { published, changed } =
    await load<new () => unknown[] & Record<string, unknown>>('result.js')
  for (const name of Object.getOwnPropertyNames(new published())) {
    expect(new changed()).toHaveProperty(name, new published()[name])
  }
  const result = new changed()
  result.push(1, 2)
  expect(result.map((value) => value)).toEqual([1, 2])
  expect(result.map((value) => value)).not.toBeInstanceOf(changed)
  expect(JSON.stringify(result)).toBe('[1,2]')
})

test('a changed queue behaves like a list', async () => {
  const { changed: makeQueue } = await load<() => Queue>('queue.js')
  const operation = fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('push'), count: fc.nat(2000) }) },
    { weight: 5, arbitrary: fc.record({ type: fc.constant('shift'), count: fc.nat(2000) }) },
  )
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const queue = makeQueue()
      const model: number[] = []
      let next = 0
      for (const { type, count } of operations) {
        for (let done = 0; done < count; done += 1) {
          if (type === 'push') {
            queue.push(next)
            model.push(next)
            next += 1
          } else if (model.length > 0) {
            expect(queue.shift()).toBe(model.shift())
          }
        }
        expect(queue.length).toBe(model.length)
      }
    }),
    { numRuns: 50 },
  )
})

test('a changed queue that is never empty does not grow', async () => {
  const { published, changed } = await load<() => Queue>('queue.js')
  expect(bytesAfterMany(published())).toBeGreaterThan(8_000_000)
  expect(bytesAfterMany(changed())).toBeLessThan(1_000_000)
})

/** Growth of the heap while a million items pass through a queue that always holds two. */
function bytesAfterMany(queue: Queue): number {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const before = process.memoryUsage().heapUsed
  queue.push(-1)
  for (let item = 0; item < 1_000_000; item += 1) {
    queue.push(item)
    queue.shift()
  }
  collect()
  const growth = process.memoryUsage().heapUsed - before
  expect(queue.length).toBe(1)
  return growth
}
