import { expect, test } from 'vitest'
import { useService } from '../support/fixture.ts'

const fixture = useService()

test("the article's own test: log in, create a task, get it back as to do", async () => {
  const { client } = fixture
  const credentials = { email: 'test@example.com', password: 'testpassword123' }
  await client.post('/api/v1/auth/register', credentials)

  const login = await client.post('/api/v1/auth/login', credentials)
  expect(login.status).toBe(200)
  const { token } = login.body

  const created = await client.post(
    '/api/v1/tasks',
    { title: 'Write integration tests', priority: 'high' },
    { token },
  )
  expect(created.status).toBe(201)
  expect(created.body.title).toBe('Write integration tests')
  expect(created.body.status).toBe('todo')
})
