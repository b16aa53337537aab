import {
  authorized,
  type BenchRequest,
  cycle,
  json,
  pick,
  type Scenario,
  type SeedUser,
} from '../load/scenario.ts'

const STATUSES = ['todo', 'in_progress', 'done', 'cancelled']

export const taskPatch: Scenario = {
  name: 'task-patch',
  about: 'PATCH the status of a random task; acknowledged after a commit that is on disk',
  serves: 'tasks',
  statuses: [200],
  rateOf: 'axum',
  requests: (users, random) => cycle(() => patchRequest(users, random)),
}

export function patchRequest(users: readonly SeedUser[], random: () => number): BenchRequest {
  const user = pick(users, random)
  const path = `/api/v1/tasks/${pick(user.taskIds, random)}`
  return { method: 'PATCH', path, ...json(authorized(user), { status: pick(STATUSES, random) }) }
}
