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
  /** For servers that refuse a token with claims that they do not know. */
  plainToken?: string
}

export interface Scenario {
  name: string
  /** One sentence for the report. */
  about: string
  /** What a server must serve to be measured. */
  serves: 'json' | 'tasks'
  /** Statuses of good answers. Any other makes the run invalid. */
  statuses: readonly number[]
  /** The most connections, where more of them would only measure how a server sheds them. */
  connectionsMax?: number
  /** The server whose closed-loop throughput the offered rate is a share of: all servers are offered the same rate. */
  rateOf?: string
  /** What sends the closed loop in place of autocannon, because the servers answer faster than it can ask. */
  closedLoop?: 'raw sockets'
  /** True where an open loop would show nothing more. */
  closedOnly?: true
  /** The requests that one connection sends over and over. `random` returns 0 to 1, the same numbers in every run. */
  requests(users: readonly SeedUser[], random: () => number): BenchRequest[]
  /** A second load that runs beside the measured one. */
  background?: {
    connections: number
    /** Statuses of good answers. These may include 503, with which a full queue sheds. */
    statuses: readonly number[]
    requests(users: readonly SeedUser[], random: () => number): BenchRequest[]
  }
}

/** How many requests a connection sends before it starts over. */
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

/** A generator of numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
