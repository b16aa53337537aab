// Puts the routes together.
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import jwt from '@fastify/jwt'
import fastify from 'fastify'
import { authRoutes } from './auth.js'
import { answerError } from './errors.js'
import { taskRoutes } from './tasks.js'

const Health = {
  type: 'object',
  required: ['status'],
  properties: { status: { type: 'string' } },
}

export function createApp(sql, jwtSecret) {
  // Unknown fields are refused, not dropped.
  const app = fastify({ ajv: { customOptions: { removeAdditional: false } } })
  app.decorate('sql', sql)
  app.setErrorHandler(answerError)
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'Not found: route' }))

  app.get('/health', { schema: { response: { 200: Health } } }, async () => ({ status: 'ok' }))
  app.register(api, { prefix: '/api/v1', jwtSecret })
  return app
}

async function api(scope, { jwtSecret }) {
  await scope.register(cors, { methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'] })
  await scope.register(compress)
  await scope.register(jwt, {
    secret: jwtSecret,
    sign: { algorithm: 'HS256' },
    verify: { algorithms: ['HS256'], requiredClaims: ['sub', 'exp'] },
  })
  scope.register(authRoutes)
  scope.register(taskRoutes)
}
