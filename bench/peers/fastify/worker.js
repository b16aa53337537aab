// Runs in each worker process: serves until it is told to end.
import { createApp } from './app.js'
import { connect } from './db.js'

const SHUTDOWN_TIMEOUT_MS = 5000

const { PORT, DATABASE_URL, JWT_SECRET, POOL_SIZE } = process.env
if (!PORT || !DATABASE_URL || !JWT_SECRET)
  throw new Error('PORT, DATABASE_URL and JWT_SECRET are required')

const sql = connect(DATABASE_URL, Number(POOL_SIZE || 10))
const app = createApp(sql, JWT_SECRET)

process.once('SIGTERM', async () => {
  setTimeout(() => process.exit(1), SHUTDOWN_TIMEOUT_MS).unref()
  await app.close()
  await sql.end()
  process.exit()
})

await app.listen({ port: Number(PORT), host: '127.0.0.1' })
