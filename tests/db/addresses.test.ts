import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAddress } from '../../src/db/address.ts'
import { openClient } from '../../src/db/driver/client.ts'
import { migrate } from '../../src/db/migrate.ts'
import { probePort } from '../../src/server/process/claims.ts'
import { MIGRATIONS } from '../support/database.ts'
import { openTestPool } from '../support/pool.ts'
import {
  type Certificate,
  hasIpv6,
  hasOpenssl,
  makeAuthority,
  type OwnServer,
  startOwnServer,
} from '../wire/own-server.ts'

const run = promisify(execFile)
const PASSWORD = 'pass word/@é1'
const HBA = [
  'local all postgres trust',
  'local all all scram-sha-256',
  'hostssl all certified all cert',
  'host all all all scram-sha-256',
]
/** Nobody listens there. */
const DEAD = '127.0.0.1:1'

let folder: string
let server: OwnServer
let ours: string
let stranger: string
let client: Certificate

describe.skipIf(!(await hasOpenssl()))('the driver reaches PostgreSQL (needs openssl)', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'driver-certificates-'))
    await chmod(folder, 0o755)
    const authority = await makeAuthority(folder, 'authority')
    const other = await makeAuthority(folder, 'stranger')
    ours = authority.certificateFile
    stranger = other.certificateFile
    // For the name and for the address of IPv6, but not for 127.0.0.1.
    const certificate = await authority.issue('server', 'DNS:localhost,IP:::1')
    client = await authority.issue('client', '', { commonName: 'certified' })
    server = await startOwnServer(HBA, certificate, ours)
    const admin = openClient(readAddress(server.url), { max: 1, connectTimeoutMs: 5000 })
    await admin.unsafe(`create role app login password '${PASSWORD}'; create role certified login`)
    await admin.unsafe('grant create on schema public to app')
    await admin.end({ timeout: 1 })
    await migrate(migrationsOf(url('localhost')))
  })

  afterAll(async () => {
    await server?.stop()
    await rm(folder, { recursive: true })
  })

  function url(host: string, query = '', user = `app:${encodeURIComponent(PASSWORD)}`): string {
    return `postgres://${user}@${host}:${server.port}/postgres?${query}`
  }

  function migrationsOf(text: string) {
    return {
      address: readAddress(text),
      folder: MIGRATIONS,
      timeoutMs: 1000,
      onApplied: () => undefined,
    }
  }

  /** What a new session says: over TLS or not. */
  async function encryption(text: string): Promise<boolean> {
    const sql = openClient(readAddress(text), { max: 1, connectTimeoutMs: 2000 })
    try {
      const [row] = await sql<
        { ssl: boolean }[]
      >`select ssl from pg_stat_ssl where pid = pg_backend_pid()`
      return row?.ssl ?? false
    } finally {
      await sql.end({ timeout: 1 })
    }
  }

  async function codeOf(text: string): Promise<string> {
    return encryption(text).then(String, (error: Error & { code?: string }) => error.code ?? 'none')
  }

  /** True once every connection of a pool is prepared. */
  async function opensPool(text: string): Promise<boolean> {
    const pool = openTestPool(text, { client: 'postgres' })
    const started = await pool.start()
    await pool.close(0)
    return started
  }

  describe('with TLS', () => {
    test('wherever the server offers it, unless disabled', async () => {
      expect(await encryption(url('127.0.0.1'))).toBe(true)
      expect(await encryption(url('127.0.0.1', 'sslmode=require'))).toBe(true)
      expect(await encryption(url('127.0.0.1', 'sslmode=disable'))).toBe(false)
    })

    test('verified for the name, or for the address, that is connected to', async () => {
      const query = `sslmode=verify-full&sslrootcert=${ours}`
      expect(await encryption(url('localhost', query))).toBe(true)
      expect(await opensPool(url('localhost', query))).toBe(true)
      await migrate(migrationsOf(url('localhost', query)))
      const wrong = url('127.0.0.1', query)
      expect(await codeOf(wrong)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
      expect(await opensPool(wrong)).toBe(false)
      await expect(migrate(migrationsOf(wrong))).rejects.toThrow('not for 127.0.0.1')
    })

    test.skipIf(!hasIpv6())('verified for an address of IPv6 (needs ::1)', async () => {
      const query = `sslmode=verify-full&sslrootcert=${ours}`
      expect(await encryption(url('[::1]', query))).toBe(true)
      expect(await opensPool(url('[::1]', query))).toBe(true)
      await migrate(migrationsOf(url('[::1]', query)))
    })

    test('not at all when another authority has signed, or none is known', async () => {
      for (const query of [
        `sslmode=verify-full&sslrootcert=${stranger}`,
        `sslmode=verify-ca&sslrootcert=${stranger}`,
        'sslmode=verify-full',
      ]) {
        const wrong = url('localhost', query)
        expect(await codeOf(wrong)).toMatch(/CERT|VERIFY/)
        expect(await opensPool(wrong)).toBe(false)
        await expect(migrate(migrationsOf(wrong))).rejects.toThrow()
      }
      expect(await codeOf(url('localhost', 'sslmode=verify-full&sslrootcert=/no/file'))).toBe(
        'TLS_FILE',
      )
    })

    test('by a certificate of the client', async () => {
      const query = `sslmode=require&sslcert=${client.certificateFile}&sslkey=${client.keyFile}`
      expect(await encryption(url('127.0.0.1', query, 'certified'))).toBe(true)
      expect(await codeOf(url('127.0.0.1', 'sslmode=require', 'certified'))).toBe('28000')
    })
  })

  test('over a unix socket, with the port in its name, and not encrypted', async () => {
    const query = new URLSearchParams({ host: server.folder, port: String(server.port) })
    const secret = encodeURIComponent(PASSWORD)
    const address = `postgres://app:${secret}@/postgres?sslmode=require&${query.toString()}`
    expect(await encryption(address)).toBe(false)
    expect(await opensPool(address)).toBe(true)
    await migrate(migrationsOf(address))
  })

  test('at the second host when the first is dead, be it TCP or a socket', async () => {
    for (const dead of [DEAD, '%2Fno%2Ffolder']) {
      const address = url(`${dead},localhost`, `sslmode=verify-full&sslrootcert=${ours}`)
      expect(await encryption(address)).toBe(true)
      expect(await opensPool(address)).toBe(true)
      await migrate(migrationsOf(address))
    }
  })

  test('never for ever: each attempt at a dead or unwilling server fails', async () => {
    const dead = readAddress(`postgres://app@${DEAD}/postgres`)
    const sql = openClient(dead, { max: 1, connectTimeoutMs: 1000 })
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(sql`select 1`.execute()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    }
    await sql.end({ timeout: 1 })
    expect(await codeOf(url('127.0.0.1', '', 'app:wrong'))).toBe('28P01')
  })

  test('as soon as it is there, with the client whose first attempt found nobody', async () => {
    const port = await probePort('127.0.0.1', 0)
    const address = readAddress(
      `postgres://app:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`,
    )
    const sql = openClient(address, { max: 1, connectTimeoutMs: 2000 })
    await expect(sql`select 1`.execute()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const relay = createServer((from) => {
      const to = connect(server.port, '127.0.0.1')
      for (const socket of [from, to]) socket.on('error', () => undefined)
      from.pipe(to).pipe(from)
    }).listen(port, '127.0.0.1')
    expect(await sql`select 1 as one`).toMatchObject([{ one: 1 }])
    await sql.end({ timeout: 1 })
    relay.close()
  })

  test('never by variables that are meant for other programs', async () => {
    const script = `
      const { openClient } = await import(${JSON.stringify(new URL('../../src/db/driver/client.ts', import.meta.url).href)})
      const { readAddress } = await import(${JSON.stringify(new URL('../../src/db/address.ts', import.meta.url).href)})
      const sql = openClient(readAddress(process.argv[1]), { max: 1, connectTimeoutMs: 2000 })
      const [row] = await sql\`select current_user as name, current_database() as database\`
      console.log(row.name, row.database)
      await sql.end()`
    const env = { PGUSER: 'x', PGDATABASE: 'x', PGHOST: 'x', PGPORT: '1', PGSSL: 'verify-full' }
    const address = url('127.0.0.1')
    const { stdout } = await run(process.execPath, ['-e', script, address], {
      env: { ...env, PGPASSWORD: 'x' },
    })
    expect(stdout.trim()).toBe('app postgres')
  })

  test('without channel binding, and says so when that is required', async () => {
    const address = url('127.0.0.1', 'sslmode=require&channel_binding=require')
    await expect(encryption(address)).rejects.toThrow('channel_binding')
    // Migrations have a client of their own, which knows it.
    await migrate(migrationsOf(address))
  })
})

test('a server that says nothing is given up, and so is one that is no longer wanted', async () => {
  const silent = createServer((socket) => void socket.resume())
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const address = silent.address()
  const port = typeof address === 'object' ? address?.port : 0
  const target = readAddress(`postgres://u:p@127.0.0.1:${port}/d`)
  const sql = openClient(target, { max: 1, connectTimeoutMs: 100 })
  await expect(sql`select 1`.execute()).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT' })
  await sql.end({ timeout: 0 })
  const unwanted = openClient(target, { max: 1, connectTimeoutMs: 60_000 })
  const failed = expect(unwanted`select 1`.execute()).rejects.toMatchObject({
    code: 'CONNECTION_DESTROYED',
  })
  await unwanted.end({ timeout: 0 })
  await failed
  // Resolves only when no socket is left open.
  await new Promise((resolve) => silent.close(resolve))
})

test.each(['wire', 'postgres'] as const)(
  'the connect_timeout of the URL bounds an attempt, with the client %s',
  async (name) => {
    const silent = createServer((socket) => void socket.resume())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : 0
    const failed = Promise.withResolvers<string>()
    const url = `postgres://u:p@127.0.0.1:${port}/d?connect_timeout=1&sslmode=disable`
    const pool = openTestPool(url, {
      client: name,
      onEvent: (event) => {
        if ('error' in event && 'code' in event.error) failed.resolve(String(event.error.code))
      },
    })
    const late = setTimeout(() => failed.resolve('nothing'), 4000)
    expect(await failed.promise).toBe('CONNECT_TIMEOUT')
    clearTimeout(late)
    await pool.close(0)
    await new Promise((resolve) => silent.close(resolve))
  },
)
