// Runs in every process. How many CPUs this process may use.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { listCgroupFolders, readIfThere } from './cgroup.ts'

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
  for (const { path, version } of listCgroupFolders('cpu', root)) {
    const read = (name: string) => readIfThere(join(path, name)).trim()
    const [quota, period] =
      version === 2
        ? read('cpu.max').split(' ')
        : [read('cpu.cfs_quota_us'), read('cpu.cfs_period_us')]
    const cpus = Number(quota) / Number(period)
    // Else there is no limit: "max" in version 2, -1 in version 1, or no such file.
    if (cpus > 0) return cpus
  }
  return Number.POSITIVE_INFINITY
}
