// Runs in every process. How many CPUs this process may use.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** The CPUs of the machine or of the process' affinity, but no more than the cgroup's quota, rounded up. */
export function countCpus(): number {
  return Math.min(availableParallelism(), Math.max(1, Math.ceil(readCpuQuota())))
}

/**
 * The CPU quota of this process' cgroup, in CPUs; infinity when there is none. libuv knows version 2, and version 1
 * only where the controllers cpu and cpuacct are mounted as one.
 *
 * @param root stands in for `/`
 */
export function readCpuQuota(root = '/'): number {
  const read = (path: string) => readFirstLine(join(root, path))
  for (const line of readText(join(root, 'proc/self/cgroup')).split('\n')) {
    const [, controllers, path = ''] = line.split(':')
    if (controllers === '') {
      // Inside a container, its own cgroup is mounted as the root.
      const limit = read(`sys/fs/cgroup${path}/cpu.max`) ?? read('sys/fs/cgroup/cpu.max')
      const quota = ratio(limit?.split(' ')[0], limit?.split(' ')[1])
      if (quota !== undefined) return quota
    } else if (controllers?.split(',').includes('cpu')) {
      for (const folder of [
        `sys/fs/cgroup/${controllers}${path}`,
        `sys/fs/cgroup/${controllers}`,
      ]) {
        const quota = ratio(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`))
        if (quota !== undefined) return quota
      }
    }
  }
  return Number.POSITIVE_INFINITY
}

/** `undefined` when there is no limit: "max" in version 2, -1 in version 1, or no such file. */
function ratio(quota: string | undefined, period: string | undefined): number | undefined {
  const cpus = Number(quota) / Number(period)
  return cpus > 0 ? cpus : undefined
}

function readFirstLine(path: string): string | undefined {
  return readText(path).split('\n')[0] || undefined
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
