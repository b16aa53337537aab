// Runs in the process that the user started: the command `openapi`.
import { VERSION } from '../root.ts'

/** Loads the routes, and the schema library with them, only now: the other commands have no use for either. */
export async function printDocument(): Promise<void> {
  const { buildDocument } = await import('../http/openapi.ts')
  const { DOCUMENT_INFO, routes } = await import('../api/routes.ts')
  const document = buildDocument(routes, { ...DOCUMENT_INFO, version: VERSION })
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`)
}
