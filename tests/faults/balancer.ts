// HAProxy or nginx in front of several nodes, as Debian has them. They may be missing anywhere but in CI.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { probePort } from '../../src/server/process/claims.ts'
import { PROXIES, type ProxyName } from '../edge/proxy-server.ts'

export interface Balancer {
  url: string
  close(): Promise<void>
}

/** Balances over the nodes that are ready. It repeats no request that may have reached one. */
export async function startBalancer(
  name: ProxyName,
  nodePorts: readonly number[],
): Promise<Balancer> {
  const { binary, args } = PROXIES[name]
  const port = await probePort('127.0.0.1', 0)
  const folder = await mkdtemp(join(tmpdir(), `taskapi-${name}-`))
  const file = join(folder, 'balancer.conf')
  await writeFile(file, CONFIGURATIONS[name]({ port, nodePorts, folder }))
  const child = spawn(binary, args(file), { stdio: 'ignore' })
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      await end(child)
      await rm(folder, { recursive: true })
    },
  }
}

interface Places {
  port: number
  nodePorts: readonly number[]
  folder: string
}

/**
 * HAProxy between the service and PostgreSQL, as a unix socket in front of a unix socket. While PostgreSQL does not answer
 * its checks it accepts connections all the same, and ends them at once.
 */
export async function startDatabaseBalancer(databaseUrl: string): Promise<Balancer> {
  const { binary, args } = PROXIES.haproxy
  const url = new URL(databaseUrl)
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-h-'))
  const file = join(folder, 'balancer.conf')
  const socket = '.s.PGSQL.5432'
  const configuration = `global
  maxconn 2000
defaults
  mode tcp
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  timeout check 2s
frontend front
  bind unix@${folder}/${socket} mode 777
  default_backend database
backend database
  option pgsql-check user ${url.searchParams.get('user')}
  default-server check inter 200ms fall 1 rise 1
  server database unix@${url.searchParams.get('host')}/${socket}
`
  await writeFile(file, configuration)
  const child = spawn(binary, args(file), { stdio: 'ignore' })
  url.searchParams.set('host', folder)
  return {
    url: url.href,
    close: async () => {
      await end(child)
      await rm(folder, { recursive: true })
    },
  }
}

/** What a balancer needs of the files in `deploy`, with shorter times. */
const CONFIGURATIONS: Readonly<Record<ProxyName, (places: Places) => string>> = {
  haproxy: ({ port, nodePorts }) => `global
  maxconn 2000
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  option redispatch
  retries 3
frontend front
  bind 127.0.0.1:${port}
  default_backend nodes
backend nodes
  balance roundrobin
  http-reuse safe
  option httpchk
  http-check send meth GET uri /ready ver HTTP/1.1 hdr Host node
  http-check expect status 200
  default-server check inter 200ms fall 1 rise 1 pool-purge-delay 1s
${nodePorts.map((node) => `  server node${node} 127.0.0.1:${node}`).join('\n')}
`,
  // It asks no node whether it is ready: one that refuses a connection is left out for longer than a drain and a start take.
  nginx: ({ port, nodePorts, folder }) => `worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 2048; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream nodes {
${nodePorts.map((node) => `    server 127.0.0.1:${node} max_fails=1 fail_timeout=5s;`).join('\n')}
    keepalive 64;
    keepalive_timeout 5s;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
      proxy_next_upstream error timeout;
    }
  }
}
`,
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}
