import { type BenchRequest, cycle, type Scenario, type SeedUser } from '../load/scenario.ts'
import { createRequest } from './task-create.ts'
import { listRequest } from './task-list.ts'
import { patchRequest } from './task-patch.ts'
import { readRequest } from './task-read.ts'

const SHARES = { read: 0.75, patch: 0.15, list: 0.05 }

export const mixed: Scenario = {
  name: 'mixed',
  about: '75 % reads, 15 % patches, 5 % lists, 5 % creates',
  serves: 'tasks',
  statuses: [200, 201],
  rateOf: 'axum',
  requests: (users, random) => cycle(() => mixedRequest(users, random)),
}

function mixedRequest(users: readonly SeedUser[], random: () => number): BenchRequest {
  const dice = random()
  if (dice < SHARES.read) return readRequest(users, random)
  if (dice < SHARES.read + SHARES.patch) return patchRequest(users, random)
  if (dice < SHARES.read + SHARES.patch + SHARES.list) return listRequest(users, random)
  return createRequest(users, random)
}
