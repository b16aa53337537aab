// Runs in each worker process: serves until it is told to end.
import { createApp } from './app.js'
import { createPool } from './db.js'

const SHUTDOWN_TIMEOUT_MS = 5000

const { PORT, DATABASE_URL, JWT_SECRET, POOL_SIZE } = process.env
if (!PORT || !DATABASE_URL || !JWT_SECRET)
  throw new Error('PORT, DATABASE_URL and JWT_SECRET are required')

const pool = createPool(DATABASE_URL, Number(POOL_SIZE || 10))
const app = createApp(pool, JWT_SECRET)
const server = app.listen(Number(PORT), '127.0.0.1', (error) => {
  if (error) throw error
})

process.once('SIGTERM', () => {
  setTimeout(() => process.exit(1), SHUTDOWN_TIMEOUT_MS).unref()
  server.close(async () => {
    await pool.end()
    process.exit()
  })
})
