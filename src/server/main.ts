// The entry of every process: its arguments decide whether it is the service, a listener of a supervisor, or a command.
import { LISTENER_ROLE, MIGRATED } from '../workers/messages.ts'
import { runCommand, runListener, runService } from './process/run.ts'

const entry = import.meta.filename
const [role, ...words] = process.argv.slice(2)

// Nothing is awaited, because CommonJS, the format of the bundle, has no top-level await. None of the three rejects.
if (role === undefined) void runService(entry)
else if (role === LISTENER_ROLE && process.send) {
  void runListener({ migrated: words.includes(MIGRATED) })
} else {
  void runCommand(async () => {
    const { runCli } = await import('./cli/cli.ts')
    await runCli({ serve: () => runService(entry), entry })
  })
}
