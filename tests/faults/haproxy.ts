// HAProxy in front of several nodes, as Debian has it. It may be missing anywhere but in CI.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const BINARY = '/usr/sbin/haproxy'

export interface Balancer {
  url: string
  close(): Promise<void>
}

/** False where it is not installed; throws in CI, where nothing may be missing. */
export function hasHaproxy(): boolean {
  if (existsSync(BINARY)) return true
  if (process.env.CI === 'true') throw new Error(`There is no ${BINARY}`)
  return false
}

/** Balances over the nodes that are ready. It repeats no request that may have reached one. */
export async function startBalancer(nodePorts: readonly number[]): Promise<Balancer> {
  const port = await findFreePort()
  const folder = await mkdtemp(join(tmpdir(), 'taskapi-haproxy-'))
  const file = join(folder, 'haproxy.cfg')
  const servers = nodePorts.map((nodePort) => `  server node${nodePort} 127.0.0.1:${nodePort}`)
  await writeFile(
    file,
    `global
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
${servers.join('\n')}
`,
  )
  const child = spawn(BINARY, ['-db', '-f', file], { stdio: 'ignore' })
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      await end(child)
      await rm(folder, { recursive: true })
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
