// Limits of memory, for tests that run real processes in little of it. They may be missing anywhere but in CI.
import { canLimitMemory } from '../../bench/servers/memory-cgroup.ts'

/** False where this user may not make a cgroup; throws in CI, where nothing may be missing. */
export function hasMemoryCgroups(): boolean {
  if (canLimitMemory()) return true
  if (process.env.CI === 'true') throw new Error('No cgroup with a memory limit can be made here')
  return false
}
