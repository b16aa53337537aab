// The way of a client through every route that needs an account, whatever is behind the service.
import { expect } from 'vitest'
import { type Client, register } from './client.ts'

/** Registers, logs in, and creates, changes, lists, deletes and reads a task. */
export async function expectEveryRoute(client: Client): Promise<void> {
  const { email, password, token } = await register(client)
  expect((await client.post('/api/v1/auth/login', { email, password })).status).toBe(200)
  const { body } = await client.post('/api/v1/tasks', { title: 'x' }, { token })
  const path = `/api/v1/tasks/${body.id}`
  const patched = await client.patch(path, { status: 'done' }, { token })
  expect(patched.body).toMatchObject({ id: body.id, status: 'done' })
  const listed = await client.get('/api/v1/tasks?status=done&limit=1', { token })
  expect(listed.body).toEqual([patched.body])
  expect((await client.delete(path, { token })).status).toBe(204)
  expect((await client.get(path, { token })).status).toBe(404)
}
