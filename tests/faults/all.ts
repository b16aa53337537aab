// Every scenario of faults, in the order of the report.
import type { Scenario } from './scenario.ts'
import { absences } from './scenarios/absences.ts'
import { abuse } from './scenarios/abuse.ts'
import { crashes } from './scenarios/crashes.ts'
import { disk } from './scenarios/disk.ts'
import { listeners } from './scenarios/listeners.ts'
import { logDisk } from './scenarios/log-disk.ts'
import { memory } from './scenarios/memory.ts'
import { outages } from './scenarios/outages.ts'
import { overload } from './scenarios/overload.ts'
import { contention, registers } from './scenarios/registers.ts'
import { restarts } from './scenarios/restarts.ts'
import { schema } from './scenarios/schema.ts'
import { sessions } from './scenarios/sessions.ts'
import { soak } from './scenarios/soak.ts'
import { starts } from './scenarios/starts.ts'
import { walDisk } from './scenarios/wal-disk.ts'

/** What happens to the database. */
export const databaseFaults: readonly Scenario[] = [
  outages,
  crashes,
  sessions,
  schema,
  disk,
  walDisk,
  absences,
]

/** What happens to the processes of the service, and what they do to each other. */
export const processFaults: readonly Scenario[] = [
  listeners,
  restarts,
  registers,
  contention,
  starts,
  memory,
  logDisk,
]

/** What clients do. */
export const clientFaults: readonly Scenario[] = [overload]

/**
 * `abuse` and `soak` have no short form: the tests of HTTP have the clients of the one, one by one, and of a few seconds
 * the other could say nothing.
 */
export const scenarios: readonly Scenario[] = [
  ...databaseFaults,
  ...processFaults,
  ...clientFaults,
  soak,
  abuse,
]
