import {
  type BenchRequest,
  cycle,
  json,
  pick,
  type Scenario,
  type SeedUser,
} from '../load/scenario.ts'
import { readRequest } from './task-read.ts'

export const login: Scenario = {
  name: 'login',
  about:
    'POST the right credentials over 16 connections: one Argon2id verification (19 MiB, two passes) per request',
  serves: 'tasks',
  statuses: [200],
  rateOf: 'axum',
  connectionsMax: 16,
  requests: (users, random) => cycle(() => loginRequest(users, random)),
}

export const loginStorm: Scenario = {
  name: 'login-storm',
  about: 'The reads of task-read, measured while 8 more connections do nothing but log in',
  serves: 'tasks',
  statuses: [200],
  rateOf: 'axum',
  requests: (users, random) => cycle(() => readRequest(users, random)),
  background: {
    connections: 8,
    statuses: [200, 503],
    requests: (users, random) => cycle(() => loginRequest(users, random)),
  },
}

function loginRequest(users: readonly SeedUser[], random: () => number): BenchRequest {
  const { email, password } = pick(users, random)
  return { method: 'POST', path: '/api/v1/auth/login', ...json({}, { email, password }) }
}
