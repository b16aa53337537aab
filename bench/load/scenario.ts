// What a scenario is. To add one: copy a file in bench/scenarios, change it, and list it in bench/scenarios/all.ts.

export interface BenchRequest {
  method: 'GET' | 'POST' | 'PATCH'
  path: string
  headers: Record<string, string>
  body?: string
}

/** An account that the database was seeded with. */
export interface SeedUser {
  email: string
  password: string
  token: string
  taskIds: string[]
}

export interface Scenario {
  name: string
  /** One sentence for the report. */
  about: string
  /** What a server must serve to be measured. */
  serves: 'json' | 'tasks'
  /** Statuses of good answers; any other makes the run invalid. */
  statuses: readonly number[]
  /** Connections at most, where more would only measure how a server sheds them. */
  connectionsMax?: number
  /** The server whose closed-loop throughput the offered rate is a share of, so that all are offered the same. */
  rateOf?: string
  /** What sends the closed loop: autocannon, unless the servers answer faster than it can ask. */
  closedLoop?: 'raw sockets'
  /** True where the closed loop says all there is to say. */
  closedOnly?: true
  /** The requests that one connection sends, over and over. `random` gives 0 to 1 and repeats from run to run. */
  requests(users: readonly SeedUser[], random: () => number): BenchRequest[]
  /** A second load that runs beside the measured one. */
  background?: {
    connections: number
    /** What the background load may get, too: a full queue is shed with 503. */
    statuses: readonly number[]
    requests(users: readonly SeedUser[], random: () => number): BenchRequest[]
  }
}

/** How many requests a connection has before it starts over. */
export const CYCLE = 200

/** `CYCLE` requests, each made anew. */
export function cycle(make: () => BenchRequest): BenchRequest[] {
  return Array.from({ length: CYCLE }, make)
}

export function pick<T>(items: readonly T[], random: () => number): T {
  const item = items[Math.floor(random() * items.length)]
  if (item === undefined) throw new Error('There is nothing to pick from')
  return item
}

export function authorized(user: SeedUser): Record<string, string> {
  return { authorization: `Bearer ${user.token}` }
}

export function json(headers: Record<string, string>, value: unknown) {
  return {
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(value),
  }
}

/** A generator of numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
