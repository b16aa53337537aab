// Runs in listeners. What the service says about itself.
import * as Type from '@sinclair/typebox'
import { shed } from '../http/problem.ts'
import { defineRoute, type Resource } from './context.ts'

const PING_TIMEOUT_MS = 1000

const Status = Type.Object({ status: Type.String() }, { $id: 'Status' })

const health = defineRoute({
  method: 'GET',
  path: '/health',
  summary: 'Liveness: whether the listener answers; does not ask the database',
  tag: 'meta',
  auth: false,
  responses: { 200: { description: 'Alive', body: Status } },
  handle: () => ({ status: 200, body: { status: 'ok' } }),
})

const ready = defineRoute({
  method: 'GET',
  path: '/ready',
  summary: 'Readiness: whether the listener wants traffic and the database answers',
  tag: 'meta',
  auth: false,
  responses: { 200: { description: 'Ready', body: Status } },
  handle: async ({ lifecycle, database }) => {
    if (lifecycle.state === 'starting') throw shed('unavailable', lifecycle.pending)
    if (lifecycle.state !== 'ready') throw shed('unavailable', `The listener is ${lifecycle.state}`)
    if (!(await database.ping(PING_TIMEOUT_MS))) {
      throw shed('unavailable', 'The database does not answer')
    }
    return { status: 200, body: { status: 'ready' } }
  },
})

const openapi = defineRoute({
  method: 'GET',
  path: '/openapi.json',
  summary: 'This document',
  tag: 'meta',
  auth: false,
  responses: { 200: { description: 'OpenAPI 3.1', body: Type.Unknown() } },
  handle: async ({ document }) => ({ status: 200, body: await document() }),
})

export const meta: Resource = { routes: [health, ready, openapi], operations: [] }
