// Runs in every process that talks to PostgreSQL. The hosts of an address in their order, each once.
import type { Address, Host } from '../address.ts'
import { ConnectionError } from './error.ts'

/** What `open` makes of the first host that it accepts. Rejects with what each host said, under the code of the first. */
export async function openFirst<Opened>(
  { hosts }: Address,
  open: (host: Host) => Promise<Opened>,
): Promise<Opened> {
  const failures: Error[] = []
  for (const host of hosts) {
    try {
      return await open(host)
    } catch (error) {
      failures.push(error as Error)
    }
  }
  throw joinFailures(failures)
}

function joinFailures(failures: readonly Error[]): Error {
  const [first] = failures
  if (first && failures.length === 1) return first
  const code = first && 'code' in first ? String(first.code) : 'CONNECT_TIMEOUT'
  const text = failures.map(({ message }) => message).join('; ')
  return new ConnectionError(code, text, first)
}
