// The scenarios, in the order in which they are measured and reported.
import type { Scenario } from './lib/scenario.ts'
import { jsonSaturated, jsonScenario } from './scenarios/json.ts'
import { login, loginStorm } from './scenarios/login.ts'
import { mixed } from './scenarios/mixed.ts'
import { taskCreate } from './scenarios/task-create.ts'
import { taskList } from './scenarios/task-list.ts'
import { taskPatch } from './scenarios/task-patch.ts'
import { taskRead, taskReadSingle } from './scenarios/task-read.ts'

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
