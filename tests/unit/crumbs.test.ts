import { expect, test } from 'vitest'
import { Crumbs } from '../../src/server/http/crumbs.ts'

const REST_MS = 15_000

test('a client rests for a while, and others do not', () => {
  const crumbs = new Crumbs()
  crumbs.add('192.0.2.1', 1000)
  expect(crumbs.has('192.0.2.1', 1000 + REST_MS - 1)).toBe(true)
  expect(crumbs.has('192.0.2.2', 1000)).toBe(false)
  expect(crumbs.has('192.0.2.1', 1000 + REST_MS)).toBe(false)
})

test('each time, the rest begins anew', () => {
  const crumbs = new Crumbs()
  crumbs.add('192.0.2.1', 0)
  crumbs.add('192.0.2.1', REST_MS - 1)
  expect(crumbs.has('192.0.2.1', REST_MS + 1)).toBe(true)
})

test('of more clients than are remembered, the first are forgotten', () => {
  const crumbs = new Crumbs()
  for (let client = 0; client < 1025; client += 1) crumbs.add(`client ${client}`, 0)
  expect(crumbs.has('client 0', 1)).toBe(false)
  expect(crumbs.has('client 1', 1)).toBe(true)
  expect(crumbs.has('client 1024', 1)).toBe(true)
})
