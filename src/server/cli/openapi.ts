// Runs in the process that the user started: the command `openapi`.
import { VERSION } from '../root.ts'

/** Loads the routes, and the schema library with them, only now: the other commands have no use for either. */
export async function printDocument(): Promise<void> {
  const { buildDocument } = await import('../http/openapi.ts')
  const { routes } = await import('../http/install.ts')
  process.stdout.write(`${JSON.stringify(buildDocument(routes, VERSION), null, 2)}\n`)
}
