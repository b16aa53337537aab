import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openUsage } from '../../src/server/process/pressure.ts'

const LIMIT = 64 * 2 ** 20

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'taskapi-pressure-'))
})

afterEach(() => {
  rmSync(root, { recursive: true })
})

function write(path: string, text: string): void {
  const file = join(root, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, text)
}

const V2_STAT =
  'anon 10\nfile 1000\nkernel 200\nkernel_stack 5\nsock 3000\nshmem 40000\nanon_thp 7\n'

describe('version 2', () => {
  test('counts what the kernel cannot take back, in the own cgroup', () => {
    write('proc/self/cgroup', '0::/service\n')
    write('sys/fs/cgroup/service/memory.stat', V2_STAT)
    const usage = openUsage(LIMIT, root)
    expect(usage?.read()).toBe(43_210)
    expect(usage?.limitBytes).toBe(LIMIT)
    usage?.close()
  })

  test('finds the cgroup of a container at the root, and sees what changes', () => {
    write('proc/self/cgroup', '0::/../../docker/1234\n')
    write('sys/fs/cgroup/memory.stat', 'anon 1\n')
    const usage = openUsage(LIMIT, root)
    expect(usage?.read()).toBe(1)
    write('sys/fs/cgroup/memory.stat', 'anon 2\n')
    expect(usage?.read()).toBe(2)
    usage?.close()
  })
})

describe('version 1', () => {
  test('counts anonymous and kernel memory', () => {
    write('proc/self/cgroup', '9:cpu,cpuacct:/other\n4:memory:/service\n')
    const folder = 'sys/fs/cgroup/memory/service'
    write(`${folder}/memory.stat`, 'cache 1000\nrss 7\ntotal_cache 1000\ntotal_rss 20\n')
    write(`${folder}/memory.kmem.usage_in_bytes`, '3\n')
    const usage = openUsage(LIMIT, root)
    expect(usage?.read()).toBe(23)
    usage?.close()
  })
})

test('nothing is watched where the kernel says nothing', () => {
  expect(openUsage(LIMIT, root)).toBeUndefined()
  write('proc/self/cgroup', '4:memory:/service\n0::/\n')
  expect(openUsage(LIMIT, root)).toBeUndefined()
})
