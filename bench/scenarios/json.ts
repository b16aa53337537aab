import { cycle, type Scenario } from '../lib/scenario.ts'

export const jsonScenario: Scenario = {
  name: 'json',
  about:
    "The article's simple JSON API: GET /health builds and serialises an object per request; no database; the same body from every server",
  serves: 'json',
  statuses: [200],
  requests: () => cycle(() => ({ method: 'GET', path: '/health', headers: {} })),
}
