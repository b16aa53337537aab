// A client that stands beside a flood and looks at what it has no time to look at: whether the service still says that it
// is alive, and whether its refusals say when to try again.
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../support/client.ts'

const PAUSE_MS = 20
/** Longer than any request may take: what takes longer hangs. */
const HANG_MS = 10_000

export interface Witness {
  /** How long each answer of `/health` took. */
  readonly healthMs: readonly number[]
  /** Answers of `/health` other than 200. */
  readonly unhealthy: readonly string[]
  /** Answers to lists that are neither good nor a refusal with `Retry-After`. */
  readonly wrong: readonly string[]
  /** How many lists were refused: those are refused first. */
  readonly refused: number
  stop(): Promise<void>
}

export function startWitness(url: string, token: string): Witness {
  const client = createClient(url)
  const healthMs: number[] = []
  const unhealthy: string[] = []
  const wrong: string[] = []
  let refused = 0
  let running = true

  async function checkHealth(): Promise<void> {
    const startedAt = performance.now()
    const { status } = await client.get('/health', { signal: AbortSignal.timeout(HANG_MS) })
    healthMs.push(performance.now() - startedAt)
    if (status !== 200) unhealthy.push(`health ${status}`)
  }

  async function checkList(): Promise<void> {
    const signal = AbortSignal.timeout(HANG_MS)
    const { status, headers, body } = await client.get('/api/v1/tasks', { token, signal })
    if (status === 503 && Number(headers.get('retry-after')) > 0) refused += 1
    else if (status !== 200) wrong.push(`${status} ${JSON.stringify(body)}`)
  }

  async function repeat(check: () => Promise<void>, failures: string[]): Promise<void> {
    while (running) {
      await check().catch((error: unknown) => failures.push(String(error)))
      await delay(PAUSE_MS)
    }
  }

  const done = Promise.all([repeat(checkHealth, unhealthy), repeat(checkList, wrong)])
  return {
    healthMs,
    unhealthy,
    wrong,
    get refused() {
      return refused
    },
    stop: async () => {
      running = false
      await done
    },
  }
}
