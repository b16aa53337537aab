// Runs in listeners and in `openapi`. Every route of the service, in the order of the document.
import { auth } from './auth.ts'
import { meta } from './meta.ts'
import { tasks } from './tasks.ts'

const resources = [meta, auth, tasks]

export const routes = resources.flatMap((resource) => resource.routes)

/** Every operation that the routes need; their statements are prepared before the listener is ready. */
export const operations = resources.flatMap((resource) => resource.operations)

/** What the document says about the service as a whole. */
export const DOCUMENT_INFO = {
  title: 'taskapi',
  description:
    'A task-management API. Every GET route also answers HEAD; every path answers OPTIONS.',
  license: { name: 'MIT', identifier: 'MIT' },
  prefix: '/api/v1',
} as const
