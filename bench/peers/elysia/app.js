// Puts the routes together.
import { cors } from '@elysiajs/cors'
import { Elysia } from 'elysia'
import { accountRoutes } from './accounts.js'
import { answerError, Refusal } from './errors.js'
import { taskRoutes } from './tasks.js'
import { createTokens } from './tokens.js'

const REQUEST_ID = /^[!-~]{1,128}$/
/** Shorter bodies are not worth compressing. */
const GZIP_BYTES_MIN = 1024

export async function createApp(sql, jwtSecret) {
  const tokens = createTokens(jwtSecret)
  const api = new Elysia({ prefix: '/api/v1', normalize: false })
    .use(await accountRoutes(sql, tokens))
    .use(taskRoutes(sql, tokens))
  // Without normalisation unknown fields are refused, not dropped.
  return new Elysia({ normalize: false })
    .onRequest(({ request, set }) => {
      const own = request.headers.get('x-request-id')
      set.headers['x-request-id'] = own && REQUEST_ID.test(own) ? own : Bun.randomUUIDv7()
    })
    .onError(answerError)
    .use(cors({ origin: '*', methods: ['GET', 'POST', 'PATCH', 'DELETE'] }))
    .mapResponse(({ response, request, set }) => compress(response, request, set))
    .get('/health', () => ({ status: 'ok' }))
    .use(api)
    .all('*', () => {
      throw new Refusal(404, 'Not found: route')
    })
}

/** Leaves the answer to Elysia unless it is long and the client wants it compressed. */
function compress(response, request, set) {
  if (response === null || typeof response !== 'object' || response instanceof Response) return
  if (!/\bgzip\b(?!\s*;\s*q=0(\.0*)?\b)/.test(request.headers.get('accept-encoding') ?? '')) return
  const json = JSON.stringify(response)
  if (json.length < GZIP_BYTES_MIN) return
  return new Response(Bun.gzipSync(json), {
    status: typeof set.status === 'number' ? set.status : 200,
    headers: {
      ...set.headers,
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      vary: 'accept-encoding',
    },
  })
}
