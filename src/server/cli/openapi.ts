// Runs in the process that the user started: the command `openapi`.
import { routes } from '../http/install.ts'
import { buildDocument } from '../http/openapi.ts'
import { VERSION } from '../root.ts'

export function printDocument(): void {
  process.stdout.write(`${JSON.stringify(buildDocument(routes, VERSION), null, 2)}\n`)
}
