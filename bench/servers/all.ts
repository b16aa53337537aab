// Every server that npm run bench can measure, in the order of the report.
import type { ServerKind } from './kind.ts'
import {
  ourService,
  ourServiceConfined,
  ourServiceUnbatched,
  ourSingleListener,
  ourTwoListeners,
} from './ours.ts'
import { listPeers } from './peers.ts'
import { pgbench } from './pgbench.ts'

export function allServers(): ServerKind[] {
  return [
    ourService(),
    ourServiceUnbatched(),
    ourTwoListeners(),
    ourSingleListener(),
    ourServiceConfined(),
    pgbench(),
    ...listPeers(),
  ]
}
