import {
  authorized,
  type BenchRequest,
  cycle,
  pick,
  type Scenario,
  type SeedUser,
} from '../load/scenario.ts'

export const taskRead: Scenario = {
  name: 'task-read',
  about: 'GET one task by id, of a random user among 1000 with 100 tasks each',
  serves: 'tasks',
  statuses: [200],
  rateOf: 'axum',
  requests: (users, random) => cycle(() => readRequest(users, random)),
}

export const taskReadSingle: Scenario = {
  name: 'task-read-single',
  about:
    'The reads of task-read over one connection: never two at a time, so nothing can be batched',
  serves: 'tasks',
  statuses: [200],
  connectionsMax: 1,
  closedOnly: true,
  requests: (users, random) => cycle(() => readRequest(users, random)),
}

export function readRequest(users: readonly SeedUser[], random: () => number): BenchRequest {
  const user = pick(users, random)
  return {
    method: 'GET',
    path: `/api/v1/tasks/${pick(user.taskIds, random)}`,
    headers: authorized(user),
  }
}
