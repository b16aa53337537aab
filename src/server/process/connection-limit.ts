// Runs in listeners and in the command `doctor`. How many connections a listener is to have, and what else needs descriptors.
import type { Config } from '../config/config.ts'
import type { ConnectionLimit } from '../http/connections.ts'

const DESCRIPTORS_PER_THREAD = 8

export function connectionLimit(config: Config): ConnectionLimit {
  const { MAX_CONNECTIONS: connections, DB_CONNECTIONS, PASSWORD_THREADS } = config
  // To find out about a pooler takes a second connection; the loop of a thread takes several descriptors.
  const otherDescriptors = 2 * DB_CONNECTIONS + DESCRIPTORS_PER_THREAD * PASSWORD_THREADS
  return { connections, otherDescriptors }
}
