// Puts the routes together.
import compression from 'compression'
import cors from 'cors'
import express from 'express'
import { authRouter } from './auth.js'
import { answerError, HttpError } from './errors.js'
import { taskRouter } from './tasks.js'
import { createTokens } from './tokens.js'

export function createApp(pool, jwtSecret) {
  const tokens = createTokens(jwtSecret)
  const app = express()
  app.disable('x-powered-by')
  // No client of this API asks conditionally, and a tag would hash every answer.
  app.disable('etag')

  app.get('/health', (_req, res) => {
    res.json({ status: 'ok' })
  })
  app.use('/api/v1', cors(), compression(), express.json())
  app.use('/api/v1/auth', authRouter(pool, tokens))
  app.use('/api/v1/tasks', taskRouter(pool, tokens))
  app.use(() => {
    throw new HttpError(404, 'Not found: route')
  })
  app.use(answerError)
  return app
}
