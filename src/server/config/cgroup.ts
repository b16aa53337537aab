// Runs in every process. Where the kernel keeps what it limits for this process.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface CgroupFolder {
  path: string
  version: 1 | 2
}

/**
 * The folders that may have the files of `controller` for the cgroup of this process, the likeliest first.
 *
 * @param root stands in for `/`
 */
export function listCgroupFolders(controller: 'cpu' | 'memory', root: string): CgroupFolder[] {
  const lines = readIfThere(join(root, 'proc/self/cgroup')).split('\n')
  return lines.flatMap((line): CgroupFolder[] => {
    const [, controllers, path = ''] = line.split(':')
    const version = controllers === '' ? 2 : 1
    if (version === 1 && !controllers?.split(',').includes(controller)) return []
    const mount = join(root, 'sys/fs/cgroup', controllers ?? '')
    // Inside a container, its own cgroup is mounted as the root.
    return [
      { path: join(mount, path), version },
      { path: mount, version },
    ]
  })
}

/** The text of a file, or the empty string. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
