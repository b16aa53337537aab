// Runs in each worker process: serves until it is told to end.
import { createApp } from './app.js'
import { connect } from './db.js'

const SHUTDOWN_TIMEOUT_MS = 5000
const IDLE_TIMEOUT_SECONDS = 75
const BODY_BYTES_MAX = 64 * 1024

const { PORT, DATABASE_URL, JWT_SECRET, POOL_SIZE } = process.env
if (!PORT || !DATABASE_URL || !JWT_SECRET)
  throw new Error('PORT, DATABASE_URL and JWT_SECRET are required')

const sql = connect(DATABASE_URL, Number(POOL_SIZE || 10))
const app = await createApp(sql, JWT_SECRET)

process.once('SIGTERM', async () => {
  setTimeout(() => process.exit(1), SHUTDOWN_TIMEOUT_MS).unref()
  await app.stop()
  await sql.close()
  process.exit()
})

app.listen({
  port: Number(PORT),
  hostname: '127.0.0.1',
  reusePort: true,
  idleTimeout: IDLE_TIMEOUT_SECONDS,
  maxRequestBodySize: BODY_BYTES_MAX,
})
