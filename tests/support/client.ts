// An HTTP client for tests, and raw connections for bytes that no proper client would send.
import { connect, type Socket } from 'node:net'

export interface Answer {
  status: number
  headers: Headers
  // Tests look into answers of every shape.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface Client {
  url: string
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>
  get(path: string, options?: RequestOptions): Promise<Answer>
  post(path: string, body: unknown, options?: RequestOptions): Promise<Answer>
  patch(path: string, body: unknown, options?: RequestOptions): Promise<Answer>
  delete(path: string, options?: RequestOptions): Promise<Answer>
}

export interface RequestOptions {
  token?: string
  headers?: Record<string, string>
  /** Sent as JSON. */
  json?: unknown
  /** Sent as it is. */
  body?: string | Uint8Array
  /** Ends the wait for an answer. */
  signal?: AbortSignal
}

export function createClient(url: string): Client {
  async function request(method: string, path: string, options: RequestOptions = {}) {
    const headers = new Headers(options.headers)
    if (options.token) headers.set('authorization', `Bearer ${options.token}`)
    if (options.json !== undefined && !headers.has('content-type')) {
      headers.set('content-type', 'application/json')
    }
    const body = options.json === undefined ? options.body : JSON.stringify(options.json)
    const signal = options.signal ?? null
    const response = await fetch(url + path, { method, headers, body: body ?? null, signal })
    const text = await response.text()
    const isJson = response.headers.get('content-type') === 'application/json' && text !== ''
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    }
  }

  return {
    url,
    request,
    get: (path, options) => request('GET', path, options),
    post: (path, json, options) => request('POST', path, { ...options, json }),
    patch: (path, json, options) => request('PATCH', path, { ...options, json }),
    delete: (path, options) => request('DELETE', path, options),
  }
}

export interface Account {
  id: string
  email: string
  password: string
  token: string
}

let accounts = 0

const REGISTER_TRIES_MAX = 10

/** Registers a new account. On a busy machine a password may take too long to hash: then another one is tried. */
export async function register(client: Client): Promise<Account> {
  const password = 'testpassword123'
  for (let tries = 1; ; tries += 1) {
    accounts += 1
    const email = `user${accounts}.${process.pid}@example.com`
    const { status, body } = await client.post('/api/v1/auth/register', { email, password })
    if (status === 201) return { id: body.user.id, email, password, token: body.token }
    if (status !== 503 || tries === REGISTER_TRIES_MAX) {
      throw new Error(`Cannot register: ${status} ${JSON.stringify(body)}`)
    }
  }
}

/** Sends bytes and resolves with everything that comes back until the server closes or `untilQuietMs` pass. */
export function sendRaw(port: number, text: string, untilQuietMs = 500): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, '127.0.0.1')
    let received = ''
    socket.setTimeout(untilQuietMs, () => socket.destroy())
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.on('close', () => resolve(received))
    socket.write(Buffer.from(text, 'latin1'))
  })
}

/** Waits until `check` is true, or throws after `timeoutMs`. */
export async function eventually(
  what: string,
  check: () => Promise<boolean> | boolean,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`Did not happen in ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
