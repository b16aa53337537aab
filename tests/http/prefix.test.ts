// The API below a prefix that nginx takes off: every URL that an answer names is still right.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Account, type Client, createClient, eventually, register } from '../support/client.ts'
import { useService } from '../support/fixture.ts'

const NGINX = '/usr/sbin/nginx'

/** False where it is not installed; throws in CI, where nothing may be missing. */
function hasNginx(): boolean {
  if (existsSync(NGINX)) return true
  if (process.env.CI === 'true') throw new Error(`There is no ${NGINX}`)
  return false
}

describe.skipIf(!hasNginx())('behind a prefix (needs the package nginx-light)', () => {
  const fixture = useService()
  let folder: string
  let nginx: ChildProcess
  let page: string
  let client: Client
  let owner: Account

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'taskapi-nginx-'))
    const port = await findFreePort()
    const file = join(folder, 'nginx.conf')
    await writeFile(file, configuration(folder, port, fixture.service.port))
    nginx = spawn(NGINX, ['-c', file, '-p', folder, '-e', join(folder, 'error.log')])
    const url = `http://127.0.0.1:${port}/prefix`
    client = createClient(url)
    page = `${url}/api/v1/tasks`
    await eventually('nginx answers', async () => {
      const answer = await fetch(`${url}/ready`).catch(() => undefined)
      return answer?.status === 200
    })
    owner = await register(client)
  })

  afterAll(async () => {
    const ended = new Promise((resolve) => nginx?.once('exit', resolve))
    if (nginx?.kill('SIGTERM')) await ended
    await rm(folder, { recursive: true })
  })

  function get(url: URL): Promise<Response> {
    return fetch(url, { headers: { authorization: `Bearer ${owner.token}` } })
  }

  test('Location leads to the new task', async () => {
    const { headers, body } = await client.post('/api/v1/tasks', { title: 'x' }, owner)
    const answer = await get(new URL(headers.get('location') ?? '', page))
    expect(await answer.json()).toEqual(body)
  })

  test('Link leads from page to page', async () => {
    for (const title of ['a', 'b', 'c']) await client.post('/api/v1/tasks', { title }, owner)
    const titles: string[] = []
    let next: URL | undefined = new URL(`${page}?limit=1`)
    while (next && titles.length < 3) {
      const answer: Response = await get(next)
      const [task] = (await answer.json()) as { title: string }[]
      titles.push(task?.title ?? '')
      const target: string | undefined = /<([^>]+)>/.exec(answer.headers.get('link') ?? '')?.[1]
      next = target === undefined ? undefined : new URL(target, next)
    }
    expect(titles).toEqual(['c', 'b', 'a'])
  })

  test('the redirect of a slash at the end stays below the prefix', async () => {
    const answer = await get(new URL(`${page}/?limit=2`))
    expect(answer.redirected).toBe(true)
    expect(answer.url).toBe(`${page}?limit=2`)
    expect(answer.status).toBe(200)
  })
})

function configuration(folder: string, port: number, servicePort: number): string {
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port};
    location /prefix/ {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass http://127.0.0.1:${servicePort}/;
    }
  }
}
`
}

async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
