// Runs in listeners. What the service says about itself.
import * as Type from '@sinclair/typebox'
import { shed } from '../http/problem.ts'
import { defineRoute, type Route } from '../http/route.ts'

const PING_TIMEOUT_MS = 1000

const Status = Type.Object({ status: Type.String() }, { $id: 'Status' })

const health = defineRoute({
  method: 'GET',
  path: '/health',
  summary: 'Liveness: the listener answers; the database is not asked',
  tag: 'meta',
  auth: false,
  success: { status: 200, description: 'Alive', schema: Status },
  handle: () => ({ status: 'ok' }),
})

const ready = defineRoute({
  method: 'GET',
  path: '/ready',
  summary: 'Readiness: the listener wants traffic and the database answers',
  tag: 'meta',
  auth: false,
  success: { status: 200, description: 'Ready', schema: Status },
  handle: async ({ readiness, db }) => {
    if (readiness.state !== 'ready') throw shed('unavailable', `The listener is ${readiness.state}`)
    if (!(await db.ping(PING_TIMEOUT_MS))) throw shed('unavailable', 'The database does not answer')
    return { status: 'ready' }
  },
})

const openapi = defineRoute({
  method: 'GET',
  path: '/openapi.json',
  summary: 'This document',
  tag: 'meta',
  auth: false,
  success: { status: 200, description: 'OpenAPI 3.1', schema: Type.Unknown() },
  handle: ({ document }) => document(),
})

export const metaRoutes: readonly Route[] = [health, ready, openapi]
