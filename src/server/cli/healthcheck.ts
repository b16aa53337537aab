// Runs in a process of its own, beside the service: the command `healthcheck`. It loads as little as it can, because it
// shares the memory of a container with the service.
import { get, type RequestOptions } from 'node:http'
import { type Config, readConfig } from '../config/config.ts'
import { isSocketPath } from '../config/kinds.ts'

const TIMEOUT_MS = 2000
const BODY_LENGTH_MAX = 4096
/** Where a service that listens on all addresses is asked. */
export const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** What a service has answered. */
export interface Answer {
  readonly status: number | undefined
  /** No more than the beginning of it. */
  readonly body: string
}

/** Prints what the service answers to `/health`, or to `/ready`. Rejects when that is not 200, or takes over 2 s. */
export async function checkHealth({ ready }: { ready: boolean }): Promise<void> {
  const path = ready ? '/ready' : '/health'
  const { status } = await askService(readConfig('command'), path).catch((error: unknown) => {
    throw new Error(`${path} was not answered: ${describe(error)}`, { cause: error })
  })
  if (status !== 200) throw new Error(`${path} was answered with ${status}`)
  process.stdout.write(`${path} was answered with 200\n`)
}

/** Asks whoever listens where these settings say. */
export function askService(
  { SERVER_HOST, SERVER_PORT: port }: Pick<Config, 'SERVER_HOST' | 'SERVER_PORT'>,
  path: string,
): Promise<Answer> {
  const place = isSocketPath(SERVER_HOST)
    ? { socketPath: SERVER_HOST }
    : { host: LOOPBACK[SERVER_HOST] ?? SERVER_HOST, port }
  return ask({ ...place, path })
}

function ask(place: RequestOptions): Promise<Answer> {
  const options = { ...place, agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) }
  return new Promise((resolve, reject) => {
    const request = get(options, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        if (body.length < BODY_LENGTH_MAX) body += text
      })
      answer.on('error', reject)
      answer.on('end', () => resolve({ status: answer.statusCode, body }))
    })
    request.on('error', reject)
  })
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.name === 'AbortError' ? `nothing came within ${TIMEOUT_MS / 1000} s` : error.message
}
