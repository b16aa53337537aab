// The scenarios, in the order in which they are measured and reported.
import type { Scenario } from '../load/scenario.ts'
import { jsonSaturated, jsonScenario } from './json.ts'
import { login, loginStorm } from './login.ts'
import { mixed } from './mixed.ts'
import { taskCreate } from './task-create.ts'
import { taskList } from './task-list.ts'
import { taskPatch } from './task-patch.ts'
import { taskRead, taskReadSingle } from './task-read.ts'

export const scenarios: readonly Scenario[] = [
  jsonScenario,
  jsonSaturated,
  taskRead,
  taskReadSingle,
  taskList,
  taskCreate,
  taskPatch,
  mixed,
  login,
  loginStorm,
]
