// Every scenario of faults, in the order of the report.
import type { Scenario } from './scenario.ts'
import { crashes } from './scenarios/crashes.ts'
import { sessions } from './scenarios/sessions.ts'

export const scenarios: readonly Scenario[] = [sessions, crashes]
