import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { routes } from '../../src/server/api/routes.ts'
import { useService } from '../support/fixture.ts'

const fixture = useService()

test('GET /health answers 200', async () => {
  const { status, body } = await fixture.client.get('/health')
  expect(status).toBe(200)
  expect(body).toEqual({ status: 'ok' })
})

test('GET /ready answers 200 when the database answers', async () => {
  const { status, body } = await fixture.client.get('/ready')
  expect(status).toBe(200)
  expect(body).toEqual({ status: 'ready' })
})

test('GET /openapi.json is a valid OpenAPI 3.1 document', async () => {
  const { status, body } = await fixture.client.get('/openapi.json')
  expect(status).toBe(200)
  expect(body.openapi).toMatch(/^3\.1\./)
  const result = await new Validator().validate(body)
  expect(result.errors).toBeUndefined()
  expect(result.valid).toBe(true)
})

test('the document and the router have the same routes', async () => {
  const { body } = await fixture.client.get('/openapi.json')
  const documented = Object.entries<object>(body.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const declared = routes.map(({ method, path }) => `${method} ${path.replace(':id', '{id}')}`)
  expect(documented.sort()).toEqual(declared.sort())

  // Each path of the document exists: with a method that it does not have, it answers 405.
  for (const path of Object.keys(body.paths)) {
    const answer = await fixture.client.request('PUT', path)
    expect(answer.status).toBe(405)
    const methods = Object.keys(body.paths[path]).map((method) => method.toUpperCase())
    const allowed = answer.headers.get('allow')?.split(', ') ?? []
    expect(allowed.filter((method) => !['HEAD', 'OPTIONS'].includes(method))).toEqual(methods)
  }
})

test('every reference in the document leads somewhere', async () => {
  const { body } = await fixture.client.get('/openapi.json')
  const references = JSON.stringify(body).match(/#\/components\/schemas\/\w+/g) ?? []
  expect(references.length).toBeGreaterThan(10)
  for (const reference of references) {
    expect(body.components.schemas).toHaveProperty(reference.split('/').at(-1) ?? '')
  }
})
