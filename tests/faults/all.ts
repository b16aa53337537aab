// Every scenario of faults, in the order of the report.
import type { Scenario } from './scenario.ts'
import { absences } from './scenarios/absences.ts'
import { crashes } from './scenarios/crashes.ts'
import { disk } from './scenarios/disk.ts'
import { listeners } from './scenarios/listeners.ts'
import { outages } from './scenarios/outages.ts'
import { overload } from './scenarios/overload.ts'
import { contention, registers } from './scenarios/registers.ts'
import { restarts } from './scenarios/restarts.ts'
import { schema } from './scenarios/schema.ts'
import { sessions } from './scenarios/sessions.ts'
import { starts } from './scenarios/starts.ts'

/** What happens to the database. */
export const databaseFaults: readonly Scenario[] = [
  outages,
  crashes,
  sessions,
  schema,
  disk,
  absences,
]

/** What happens to the processes of the service, and what they do to each other. */
export const processFaults: readonly Scenario[] = [
  listeners,
  restarts,
  registers,
  contention,
  starts,
]

/** What clients do. */
export const clientFaults: readonly Scenario[] = [overload]

export const scenarios: readonly Scenario[] = [...databaseFaults, ...processFaults, ...clientFaults]
