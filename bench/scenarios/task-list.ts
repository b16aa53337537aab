import {
  authorized,
  type BenchRequest,
  cycle,
  pick,
  type Scenario,
  type SeedUser,
} from '../load/scenario.ts'

export const taskList: Scenario = {
  name: 'task-list',
  about: "GET the 20 newest of a user's 100 tasks",
  serves: 'tasks',
  statuses: [200],
  rateOf: 'axum',
  requests: (users, random) => cycle(() => listRequest(users, random)),
}

export function listRequest(users: readonly SeedUser[], random: () => number): BenchRequest {
  return { method: 'GET', path: '/api/v1/tasks?limit=20', headers: authorized(pick(users, random)) }
}
