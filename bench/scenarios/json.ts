import { type BenchRequest, cycle, type Scenario } from '../load/scenario.ts'

const ABOUT =
  "The article's simple JSON API: GET /health builds and serialises an object per request; no database; the same body from every server"

export const jsonScenario: Scenario = {
  name: 'json',
  about: ABOUT,
  serves: 'json',
  statuses: [200],
  rateOf: 'express',
  requests: () => cycle(healthRequest),
}

export const jsonSaturated: Scenario = {
  name: 'json-saturated',
  about:
    'The request of json, sent from raw sockets that cost the load generator a fraction of what autocannon does',
  serves: 'json',
  statuses: [200],
  closedLoop: 'raw sockets',
  closedOnly: true,
  requests: () => cycle(healthRequest),
}

function healthRequest(): BenchRequest {
  return { method: 'GET', path: '/health', headers: {} }
}
