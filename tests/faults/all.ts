// Every scenario of faults, in the order of the report.
import type { Scenario } from './scenario.ts'
import { crashes } from './scenarios/crashes.ts'
import { listeners } from './scenarios/listeners.ts'
import { outages } from './scenarios/outages.ts'
import { contention, registers } from './scenarios/registers.ts'
import { schema } from './scenarios/schema.ts'
import { sessions } from './scenarios/sessions.ts'

export const scenarios: readonly Scenario[] = [
  sessions,
  crashes,
  outages,
  schema,
  listeners,
  registers,
  contention,
]
