// What the service says about its memory, and what V8 then allows. The processes need the right to make a cgroup.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMemoryCgroup, type MemoryCgroup } from '../../bench/servers/memory-cgroup.ts'
import { planMemory } from '../../src/server/process/memory.ts'
import { createDatabase, type TestDatabase } from '../support/database.ts'
import { hasMemoryCgroups } from '../support/memory.ts'
import { MAIN, startService, type TestService } from '../support/service.ts'

const LIMIT_MIB = 256
const MIB = 2 ** 20

describe.skipIf(!hasMemoryCgroups())(`in a cgroup of ${LIMIT_MIB} MiB (needs root)`, () => {
  let database: TestDatabase
  let cgroup: MemoryCgroup | undefined
  let service: TestService | undefined

  beforeAll(async () => {
    database = await createDatabase()
    cgroup = createMemoryCgroup(`taskapi-memory-${process.pid}`, LIMIT_MIB * MIB)
  })

  afterAll(async () => {
    cgroup?.remove()
    await database.drop()
  })

  /** Its warning about memory, and the heap limits that its processes report. */
  async function start(env: Record<string, string>, flags = '') {
    const enter = `${cgroup?.enter} || exit 1\nnode=$1; shift; set -- "$node" ${flags} "$@"`
    service = await startService(database.url, env, MAIN, enter)
    const { lines } = service
    const said = await service.line(({ msg }) => msg === 'Listening')
    const heaps = lines.filter(({ msg }) => msg === 'Listener is up').map((line) => line.heap_mb)
    await service.stop()
    const warning = lines.find(({ msg }) => msg.includes('more memory than it has'))
    return { said, heaps, warning }
  }

  test('one listener with the heap that V8 chooses warns, and names the flags that fit', async () => {
    const { said, warning } = await start({})
    expect(said.memory_mb).toBe(268)
    expect(said.heap_mb).toBeGreaterThan(268)
    expect(warning?.memory_mb).toBe(268)
    expect(warning?.msg).toContain('node --max-semi-space-size=2 --max-old-space-size=209')
  })

  test('with these flags it says what they allow, and does not warn', async () => {
    const flags = '--max-semi-space-size=2 --max-old-space-size=209'
    const { said, warning } = await start({}, flags)
    expect(said).toMatchObject({ heap_mb: 225, hash_threads_mb: 30, base_mb: 13 })
    expect(warning).toBeUndefined()
  })

  test('a supervisor shares the memory among its listeners', async () => {
    const { said, heaps, warning } = await start({ LISTENERS: '2' })
    expect(said.heap_mb).toBe(83)
    expect(heaps).toEqual([83, 83])
    expect(warning).toBeUndefined()
  })

  test('listeners do not inherit a share of the memory that was meant for one', async () => {
    const flag = '--max-old-space-size-percentage=90'
    expect((await start({ LISTENERS: '2' }, flag)).heaps).toEqual([83, 83])
  })

  test('a supervisor whose listeners do not fit warns, and names the setting', async () => {
    const { warning } = await start({ LISTENERS: '2', PASSWORD_THREADS: '4' })
    expect(warning?.msg).toContain('set LISTENERS to 1')
  })
})

test.each([
  [{ LISTENERS: 1, PASSWORD_THREADS: 1 }, 64, 22, undefined],
  [{ LISTENERS: 1, PASSWORD_THREADS: 1 }, 64, 262, '--max-old-space-size=17'],
  [{ LISTENERS: 1, PASSWORD_THREADS: 8 }, 128, 70, 'set PASSWORD_THREADS to 3'],
  [{ LISTENERS: 1, PASSWORD_THREADS: 1 }, 48, 22, 'give it 63 MiB of memory or more'],
  [{ LISTENERS: 4, PASSWORD_THREADS: 1 }, 256, 70, 'set LISTENERS to 3 or less'],
  [{ LISTENERS: 4, PASSWORD_THREADS: 1 }, 512, 134, undefined],
  [{ LISTENERS: 2, PASSWORD_THREADS: 1 }, 16_384, 4144, undefined],
])('%o in %d MiB with heaps of up to %d MiB: advice is %s', (sizes, memory, heap, advice) => {
  const plan = planMemory(sizes, { memory, heap })
  if (advice === undefined) expect(plan.advice).toBeUndefined()
  else expect(plan.advice).toContain(advice)
  expect(plan.needed > memory).toBe(advice !== undefined)
})

test('a listener gets each flag of V8 once, whatever its supervisor was started with', async () => {
  const database = await createDatabase()
  const preparation = 'node=$1; shift; set -- "$node" --max-semi-space-size=2 --stack-size=900 "$@"'
  const service = await startService(database.url, { LISTENERS: '2' }, MAIN, preparation)
  const { pid } = await service.line(({ msg }) => msg === 'Listener is up')
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  expect(words.filter((word) => word.startsWith('--')).toSorted()).toEqual([
    '--expose-gc',
    '--max-semi-space-size=2',
    '--stack-size=900',
  ])
  await service.stop()
  await database.drop()
})

test('where there is enough memory, listeners keep the heap that V8 chooses', () => {
  const sizes = { LISTENERS: 2, PASSWORD_THREADS: 1 }
  expect(planMemory(sizes, { memory: 16_384, heap: 4144 }).oldSpace).toBeUndefined()
  expect(planMemory(sizes, { memory: 4096, heap: 4144 }).oldSpace).toBe(1993)
})
