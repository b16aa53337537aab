import {
  authorized,
  type BenchRequest,
  cycle,
  json,
  pick,
  type Scenario,
  type SeedUser,
} from '../load/scenario.ts'

export const taskCreate: Scenario = {
  name: 'task-create',
  about: 'POST a task; acknowledged after a commit that is on disk',
  serves: 'tasks',
  statuses: [201],
  rateOf: 'axum',
  requests: (users, random) => cycle(() => createRequest(users, random)),
}

export function createRequest(users: readonly SeedUser[], random: () => number): BenchRequest {
  const task = {
    title: 'Write integration tests',
    priority: 'high',
    due_at: '2026-12-24T18:00:00Z',
  }
  const user = pick(users, random)
  return { method: 'POST', path: '/api/v1/tasks', ...json(authorized(user), task) }
}
