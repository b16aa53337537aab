// Runs in a process of its own, beside the service: the command `healthcheck`. It loads as little as it can, because it
// shares the memory of a container with the service.
import { get, type RequestOptions } from 'node:http'
import { readConfig } from '../config/config.ts'
import { isSocketPath } from '../config/kinds.ts'

const TIMEOUT_MS = 2000
/** Where a service that listens on all addresses is asked. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Prints what the service answers to `/health`, or to `/ready`. Rejects when that is not 200, or takes over 2 s. */
export async function checkHealth({ ready }: { ready: boolean }): Promise<void> {
  const { SERVER_HOST, SERVER_PORT: port } = readConfig('command')
  const place = isSocketPath(SERVER_HOST)
    ? { socketPath: SERVER_HOST }
    : { host: LOOPBACK[SERVER_HOST] ?? SERVER_HOST, port }
  const path = ready ? '/ready' : '/health'
  const status = await ask({ ...place, path }).catch((error: unknown) => {
    throw new Error(`${path} was not answered: ${describe(error)}`, { cause: error })
  })
  if (status !== 200) throw new Error(`${path} was answered with ${status}`)
  process.stdout.write(`${path} was answered with 200\n`)
}

function ask(place: RequestOptions): Promise<number | undefined> {
  const options = { ...place, agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }
  return new Promise((resolve, reject) => {
    const request = get(options, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    request.on('error', reject)
  })
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.name === 'AbortError' ? `nothing came within ${TIMEOUT_MS / 1000} s` : error.message
}
