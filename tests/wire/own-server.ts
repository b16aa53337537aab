// A PostgreSQL with TCP, TLS and passwords, for the tests that need those; the tests' common one has only a unix socket.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmod, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { prepareBinaries } from '../../src/db/local/binaries.ts'
import { openWire } from '../../src/db/wire/socket.ts'
import { own, unprivilegedUser } from '../support/unprivileged.ts'

const run = promisify(execFile)
const START_MS_MAX = 30_000

export interface OwnServer {
  port: number
  /** Of the unix socket, and of the certificates. */
  folder: string
  /** Runs SQL as superuser over the unix socket. */
  url: string
  /** Serves another certificate from now on. */
  serve(certificate: Certificate): Promise<void>
  stop(): Promise<void>
}

export interface Certificate {
  certificateFile: string
  keyFile: string
}

/** Starts a server with these lines of pg_hba.conf, on 127.0.0.1 and ::1. */
export async function startOwnServer(
  hba: string[],
  certificate: Certificate,
  clientAuthorityFile: string,
): Promise<OwnServer> {
  const identity = await unprivilegedUser()
  const home = await prepareBinaries({ forOthers: identity.uid !== undefined })
  const folder = await mkdtemp(join(tmpdir(), 'wire-'))
  await chmod(folder, 0o755)
  const data = join(folder, 'data')
  const socketFolder = await mkdtemp(join(folder, 's-'))
  await own(folder, identity)
  await own(socketFolder, identity)
  const environment = { ...identity, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } }
  await run(
    join(home, 'bin/initdb'),
    ['-D', data, '--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C'],
    { ...environment, cwd: folder },
  )
  await placeCertificate(data, certificate)
  await writeFile(join(data, 'pg_hba.conf'), `${hba.join('\n')}\n`)
  const port = await freePort()
  const settings = {
    listen_addresses: '127.0.0.1,::1',
    port: String(port),
    unix_socket_directories: socketFolder,
    ssl: 'on',
    ssl_ca_file: clientAuthorityFile,
    fsync: 'off',
  }
  const child = spawn(
    join(home, 'bin/postgres'),
    ['-D', data, ...Object.entries(settings).flatMap((pair) => ['-c', pair.join('=')])],
    { ...environment, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  await answering(child)
  const query = new URLSearchParams({ host: socketFolder, port: String(port), user: 'postgres' })
  return {
    port,
    folder: socketFolder,
    url: `postgres:///postgres?${query.toString()}`,
    serve: async (next) => {
      await placeCertificate(data, next)
      child.kill('SIGHUP')
      await serves(port, next)
    },
    stop: async () => {
      child.kill('SIGINT')
      if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
      await rm(folder, { recursive: true })
    },
  }
}

async function placeCertificate(data: string, from: Certificate): Promise<void> {
  const identity = await unprivilegedUser()
  for (const [source, name] of [
    [from.certificateFile, 'server.crt'],
    [from.keyFile, 'server.key'],
  ] as const) {
    const target = join(data, name)
    await cp(source, target, { force: true })
    await chmod(target, 0o600)
    await own(target, identity)
  }
}

async function answering(child: ChildProcess): Promise<void> {
  let log = ''
  const deadline = Date.now() + START_MS_MAX
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  while (!log.includes('ready to accept connections')) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`No server:\n${log}`)
    await delay(20)
  }
}

/** PostgreSQL reads its files again some time after the signal. */
async function serves(port: number, { certificateFile }: Certificate): Promise<void> {
  const { raw } = new X509Certificate(await readFile(certificateFile))
  const deadline = Date.now() + START_MS_MAX
  for (;;) {
    const host = { name: '127.0.0.1', port }
    const { socket, certificate } = await openWire(host, { mode: 'require' }, () => undefined)
    socket.destroy()
    if (certificate?.equals(raw)) return
    if (Date.now() > deadline) throw new Error('The server goes on with its old certificate')
    await delay(20)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('No free port')
  return address.port
}

export interface Authority {
  certificateFile: string
  /** A certificate of this authority for these names, such as `DNS:localhost`. */
  issue(name: string, subjects: string, options?: IssueOptions): Promise<Certificate>
}

interface IssueOptions {
  /** As `openssl req -newkey` has it. */
  key?: string[]
  digest?: string
  commonName?: string
}

/** Makes an authority whose files lie in `folder`. */
export async function makeAuthority(
  folder: string,
  name: string,
  key: string[] = ['rsa:2048'],
  signing: string[] = [],
): Promise<Authority> {
  const certificateFile = join(folder, `${name}.crt`)
  const keyFile = join(folder, `${name}.key`)
  await openssl(
    'req',
    '-x509',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-newkey',
    ...key,
    '-keyout',
    keyFile,
    '-out',
    certificateFile,
  )
  return {
    certificateFile,
    issue: async (file, subjects, options = {}) => {
      const issued = {
        certificateFile: join(folder, `${file}.crt`),
        keyFile: join(folder, `${file}.key`),
      }
      const request = join(folder, `${file}.csr`)
      const extensions = join(folder, `${file}.ext`)
      await writeFile(extensions, subjects ? `subjectAltName=${subjects}\n` : '')
      await openssl(
        'req',
        '-nodes',
        '-new',
        '-subj',
        `/CN=${options.commonName ?? file}`,
        '-newkey',
        ...(options.key ?? ['rsa:2048']),
        '-keyout',
        issued.keyFile,
        '-out',
        request,
      )
      await openssl(
        'x509',
        '-req',
        '-days',
        '2',
        '-in',
        request,
        '-CA',
        certificateFile,
        '-CAkey',
        keyFile,
        '-CAcreateserial',
        ...(options.digest ? [`-${options.digest}`] : []),
        ...signing,
        '-extfile',
        extensions,
        '-out',
        issued.certificateFile,
      )
      return issued
    },
  }
}

async function openssl(...options: string[]): Promise<void> {
  await run('openssl', options)
}

/** False where `openssl` is missing, which may be so anywhere but in CI. */
export async function hasOpenssl(): Promise<boolean> {
  try {
    await run('openssl', ['version'])
    return true
  } catch (error) {
    if (process.env.CI === 'true') throw error
    return false
  }
}

/** False where the machine has no IPv6, which may be so anywhere but in CI. */
export function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return process.env.CI === 'true' || addresses.some(({ address }) => address === '::1')
}
