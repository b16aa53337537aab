// nginx and HAProxy as Debian has them, on the files in `deploy`. They may be missing anywhere but in CI.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { probePort } from '../../src/server/process/claims.ts'
import { createClient, eventually } from '../support/client.ts'
import { own, unprivilegedUser } from '../support/unprivileged.ts'

interface Kind {
  binary: string
  file: string
  /** Where the file names its own port and its folders; the service is at 127.0.0.1:8080 in both. */
  port: string
  portAs: (port: number) => string
  folders: readonly string[]
  /** Of sockets that two of them on one machine must not share. */
  names: readonly string[]
  args: (file: string) => string[]
}

export const PROXIES = {
  nginx: {
    binary: '/usr/sbin/nginx',
    file: 'nginx.conf',
    port: 'listen 80;',
    portAs: (port) => `listen 127.0.0.1:${port};`,
    folders: ['/var/lib/nginx', '/var/log/nginx', '/run'],
    names: [],
    args: (file) => ['-e', 'stderr', '-c', file, '-g', 'daemon off;'],
  },
  haproxy: {
    binary: '/usr/sbin/haproxy',
    file: 'haproxy.cfg',
    port: 'bind :80',
    portAs: (port) => `bind 127.0.0.1:${port}`,
    folders: [],
    names: ['abns@taskapi-http10'],
    args: (file) => ['-db', '-f', file],
  },
} as const satisfies Record<string, Kind>

export type ProxyName = keyof typeof PROXIES

export interface Proxy {
  port: number
  stop(): Promise<void>
}

/** False where it is not installed; throws in CI, where nothing may be missing. */
export function hasProxy(name: ProxyName): boolean {
  const { binary } = PROXIES[name]
  if (existsSync(binary)) return true
  if (process.env.CI === 'true') throw new Error(`There is no ${binary}`)
  return false
}

/** Starts the proxy as nobody in particular, on its file with other ports and folders, and waits until it serves. */
export async function startProxy(name: ProxyName, servicePort: number): Promise<Proxy> {
  const kind: Kind = PROXIES[name]
  const port = await probePort('127.0.0.1', 0)
  const identity = await unprivilegedUser()
  const folder = await mkdtemp(join(tmpdir(), `taskapi-${name}-`))
  const file = join(folder, kind.file)
  await writeFile(file, await rewrite(kind, { port, servicePort, folder }))
  await own(folder, identity)
  await own(file, identity)
  const child = spawn(kind.binary, kind.args(file), { ...identity, cwd: folder, stdio: 'pipe' })
  let output = ''
  child.stdout.on('data', (text) => (output += text))
  child.stderr.on('data', (text) => (output += text))
  const stop = async () => {
    await end(child)
    await rm(folder, { recursive: true })
  }
  const client = createClient(`http://127.0.0.1:${port}`)
  try {
    await eventually(`${name} serves`, async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${output}`)
      return client.get('/ready').then(
        ({ status }) => status === 200,
        () => false,
      )
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { port, stop }
}

async function rewrite(
  kind: Kind,
  at: { port: number; servicePort: number; folder: string },
): Promise<string> {
  const path = fileURLToPath(new URL(`../../deploy/${kind.file}`, import.meta.url))
  const changes: [string, string][] = [
    [kind.port, kind.portAs(at.port)],
    ['127.0.0.1:8080', `127.0.0.1:${at.servicePort}`],
    ...kind.names.map((name): [string, string] => [name, `${name}-${at.port}`]),
    ...kind.folders.map((folder): [string, string] => [`${folder}/`, `${at.folder}/`]),
  ]
  let text = await readFile(path, 'utf8')
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${kind.file} does not say "${from}"`)
    text = text.replaceAll(from, to)
  }
  return text
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}
