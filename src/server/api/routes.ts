// Runs in listeners and in `openapi`. Every route of the service, in the order of the document.
import type { Route } from '../http/route.ts'
import { authRoutes } from './auth.ts'
import type { Context } from './context.ts'
import { metaRoutes } from './meta.ts'
import { taskRoutes } from './tasks.ts'

export const routes: readonly Route<Context>[] = [...metaRoutes, ...authRoutes, ...taskRoutes]

/** What the document says of the service as a whole. */
export const DOCUMENT_INFO = {
  title: 'taskapi',
  description: 'A task-management API. HEAD works on every GET, OPTIONS on every path.',
  license: { name: 'MIT', identifier: 'MIT' },
  prefix: '/api/v1',
} as const
