// Runs in the process that the user started: the command `settings`, which explains every setting.
import { renderSettings } from '../config/docs.ts'

export function printSettings(): void {
  process.stdout.write(`${renderSettings()}\n`)
}
