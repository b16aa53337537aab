// Runs in the primary process: starts the workers that share the port, and ends with them.
import { availableParallelism } from 'node:os'

const workers = Number(process.env.WORKERS || availableParallelism())
let stopping = false

const children = Array.from({ length: workers }, () =>
  Bun.spawn([process.execPath, 'worker.js'], {
    cwd: import.meta.dir,
    env: process.env,
    stdio: ['ignore', 'inherit', 'inherit'],
    onExit: ended,
  }),
)

process.on('SIGTERM', stop)
process.on('SIGINT', stop)

/** A peer that lost a worker ends, rather than be measured with fewer. */
function ended() {
  if (stopping) return
  process.exitCode = 1
  stop()
}

function stop() {
  stopping = true
  for (const child of children) child.kill('SIGTERM')
}
