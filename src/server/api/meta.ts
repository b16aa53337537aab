// Runs in listeners. What the service says about itself.
import * as Type from '@sinclair/typebox'
import { probe } from '../../db/probe.ts'
import { shed } from '../http/problem.ts'
import { defineRoute, type Resource } from './context.ts'

const Status = Type.Object({ status: Type.String() }, { $id: 'Status' })

const health = defineRoute({
  method: 'GET',
  path: '/health',
  summary: 'Liveness: whether the listener answers; does not ask the database',
  tag: 'meta',
  auth: false,
  unlimited: true,
  responses: { 200: { description: 'Alive', body: Status } },
  handle: () => ({ status: 200, body: { status: 'ok' } }),
})

const ready = defineRoute({
  method: 'GET',
  path: '/ready',
  summary: 'Readiness: whether requests would be served; if not, the error names the reason',
  tag: 'meta',
  auth: false,
  unlimited: true,
  responses: { 200: { description: 'Ready', body: Status } },
  handle: async ({ readiness }) => {
    const reason = await readiness.whyNot()
    if (reason !== undefined) throw shed('unavailable', reason)
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

export const meta: Resource = { routes: [health, ready, openapi], operations: [probe] }
