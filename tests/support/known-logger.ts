// A process that logs a known number of long lines, for tests of what becomes of a log. Runs in its own process:
//   node known-logger.ts 2000
// Says "done" on standard error when it has logged them, and ends the log and itself at SIGTERM.
import { setImmediate } from 'node:timers/promises'
import { createLog, SILENT } from '../../src/server/observe/log.ts'

const FILLER = 'x'.repeat(3900)
const log = createLog({
  levels: { ...SILENT, process: 'info' },
  role: 'logger',
  describeError: () => undefined,
})

process.on('SIGTERM', () => void log.close().then(() => process.exit(0)))
setInterval(() => undefined, 60_000)

for (let index = 0; index < Number(process.argv[2]); index += 1) {
  log.loggers.process.info({ index, filler: FILLER }, 'Line')
  // Lets the loop turn, as a service does between requests.
  await setImmediate()
}
process.stderr.write('done\n')
