import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { countCpus, readCpuQuota } from '../../src/server/config/cpus.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'taskapi-cgroup-'))
})

afterEach(async () => {
  await rm(root, { recursive: true })
})

async function tree(files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

const V2 = 'proc/self/cgroup'

test.each([
  ['version 2', { [V2]: '0::/app\n', 'sys/fs/cgroup/app/cpu.max': '150000 100000\n' }, 1.5],
  [
    'version 2 in a container',
    { [V2]: '0::/../x\n', 'sys/fs/cgroup/cpu.max': '50000 100000\n' },
    0.5,
  ],
  [
    'version 1, controllers apart',
    {
      [V2]: '4:memory:/app\n1:cpu:/app\n0::/\n',
      'sys/fs/cgroup/cpu/app/cpu.cfs_quota_us': '200000\n',
      'sys/fs/cgroup/cpu/app/cpu.cfs_period_us': '100000\n',
    },
    2,
  ],
  [
    'version 1, controllers together',
    {
      [V2]: '3:cpu,cpuacct:/app\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '100000\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '50000\n',
    },
    2,
  ],
])('a quota is found: %s', async (_, files, cpus) => {
  await tree(files)
  expect(readCpuQuota(root)).toBe(cpus)
})

test.each([
  ['no cgroups', {}],
  ['version 2', { [V2]: '0::/app\n', 'sys/fs/cgroup/app/cpu.max': 'max 100000\n' }],
  [
    'version 1',
    {
      [V2]: '1:cpu:/\n',
      'sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
  ],
])('no quota is no limit: %s', async (_, files) => {
  await tree(files)
  expect(readCpuQuota(root)).toBe(Number.POSITIVE_INFINITY)
})

test('there is always a CPU, and never more than the machine has', () => {
  expect(countCpus()).toBeGreaterThanOrEqual(1)
  expect(countCpus()).toBeLessThanOrEqual(availableParallelism())
})
