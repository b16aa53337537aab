// Clients that send one request after the other over kept connections, as a pool behind a load balancer does.
import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

export interface LoadOutcome {
  answered: Map<number, number>
  /** Codes of requests that got no answer. A refused connection is not among them: nothing was sent over it. */
  failures: string[]
  refused: number
  /** Answers that asked the client to close. */
  closes: number
}

export interface Load {
  outcome: LoadOutcome
  /** Lets the requests in flight end. */
  stop(): Promise<LoadOutcome>
}

/**
 * Each client stops at its first refused connection.
 *
 * @param options with `pauseMs`, each client waits so long behind an answer
 */
export function startLoad(
  url: string,
  clients: number,
  options: { path: string; token?: string; method?: string; body?: string; pauseMs?: number },
): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const outcome: LoadOutcome = { answered: new Map(), failures: [], refused: 0, closes: 0 }
  let running = true
  const target = new URL(options.path, url)
  const headers = {
    ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
    ...(options.body ? { 'content-type': 'application/json' } : {}),
  }

  function once(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const outgoing = request(target, { agent, method: options.method ?? 'GET', headers })
      outgoing.on('response', (incoming) => {
        const status = incoming.statusCode ?? 0
        incoming.resume()
        incoming.on('end', () => {
          outcome.answered.set(status, (outcome.answered.get(status) ?? 0) + 1)
          if (incoming.headers.connection === 'close') outcome.closes += 1
          resolve(undefined)
        })
        incoming.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      })
      outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      outgoing.end(options.body)
    })
  }

  async function client(): Promise<void> {
    while (running) {
      const failure = await once()
      if (failure === 'ECONNREFUSED') {
        outcome.refused += 1
        return
      }
      if (failure) outcome.failures.push(failure)
      if (options.pauseMs) await delay(options.pauseMs)
    }
  }

  const clientsDone = Promise.all(Array.from({ length: clients }, client))
  return {
    outcome,
    stop: async () => {
      running = false
      await clientsDone
      agent.destroy()
      return outcome
    },
  }
}
