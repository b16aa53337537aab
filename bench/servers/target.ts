// Gives a running service what the scenarios need, wherever it runs: an account with 100 tasks.
import { randomBytes } from 'node:crypto'
import type { SeedUser } from '../load/scenario.ts'

const TASKS = 100

/** Uses only the API. Rejects when the service does not answer as it should. */
export async function seedTarget(url: string): Promise<SeedUser[]> {
  const email = `bench-${randomBytes(6).toString('hex')}@example.com`
  const password = randomBytes(12).toString('hex')
  const session = await post(url, '/api/v1/auth/register', { email, password })
  const token = String(session.token)
  const taskIds: string[] = []
  for (let number = 1; number <= TASKS; number += 1) {
    const task = await post(url, '/api/v1/tasks', { title: `Task ${number} of a benchmark` }, token)
    taskIds.push(String(task.id))
  }
  return [{ email, password, token, taskIds }]
}

async function post(
  url: string,
  path: string,
  body: object,
  token?: string,
): Promise<Record<string, unknown>> {
  const response = await fetch(new URL(path, url), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify(body),
  })
  if (response.status !== 201) {
    throw new Error(`Cannot seed ${url}: POST ${path} answers ${response.status}`)
  }
  return (await response.json()) as Record<string, unknown>
}
