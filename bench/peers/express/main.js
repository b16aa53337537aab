// Runs in the primary process: starts the workers that share the port, and ends with them.
import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

const workers = Number(process.env.WORKERS || availableParallelism())
let stopping = false

cluster.setupPrimary({ exec: fileURLToPath(new URL('worker.js', import.meta.url)) })
for (let i = 0; i < workers; i += 1) cluster.fork({ NODE_ENV: 'production' })

// A peer that lost a worker ends, rather than be measured with fewer.
cluster.on('exit', () => {
  if (stopping) return
  process.exitCode = 1
  stop()
})
process.on('SIGTERM', stop)
process.on('SIGINT', stop)

function stop() {
  stopping = true
  for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM')
}
