import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomBelow } from '../support/random.ts'
import { codeOf, open } from './conversations.ts'
import {
  type Authority,
  type Certificate,
  hasIpv6,
  hasOpenssl,
  makeAuthority,
  type OwnServer,
  startOwnServer,
} from './own-server.ts'
import { startProxy } from './proxy.ts'

const ready = await hasOpenssl()
const PASSWORD = 'pass word/@é1'
/** Passwords that SASLprep changes, and some that it leaves. */
const UNUSUAL = [
  'ﬁ ligature',
  'no\u00a0break',
  'soft\u00adhyphen',
  'K\u212a',
  '\u{1f600}',
  'ｆｕｌｌ',
]
const HBA = [
  'local all postgres trust',
  'local all clear_user password',
  'local all all scram-sha-256',
  'hostssl all tls_clear_user all password',
  'hostssl all certified_user all cert',
  'hostnossl all certified_user all reject',
  'host all clear_user all password',
  'host all md5_user all md5',
  'host all trust_user all trust',
  'host all all all scram-sha-256',
]

let folder: string
let authority: Authority
let stranger: Authority
let certificate: Certificate
let client: Certificate
let server: OwnServer

describe.skipIf(!ready)('against a server of its own (needs openssl)', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-certificates-'))
    await chmod(folder, 0o755)
    authority = await makeAuthority(folder, 'authority')
    stranger = await makeAuthority(folder, 'stranger')
    // For the name and for the address of IPv6, but not for 127.0.0.1.
    certificate = await authority.issue('server', 'DNS:localhost,IP:::1')
    client = await authority.issue('client', '', { commonName: 'certified_user' })
    server = await startOwnServer(HBA, certificate, authority.certificateFile)
    const admin = await open(server.url)
    for (const user of ['scram', 'clear', 'tls_clear', 'trust', 'certified']) {
      await admin.query(`create role ${user}_user login password '${PASSWORD}'`)
    }
    await admin.query(
      `set password_encryption = md5; create role md5_user login password '${PASSWORD}'`,
    )
    for (const [index, password] of UNUSUAL.entries()) {
      await admin.query(`reset password_encryption`)
      await admin.query(`create role unusual_${index} login password '${password}'`)
    }
    admin.end()
  })

  afterAll(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })

  function url(user: string, query = '', { host = '127.0.0.1', password = PASSWORD } = {}): string {
    const secret = encodeURIComponent(password)
    return `postgres://${user}:${secret}@${host}:${server.port}/postgres?${query}`
  }

  async function accepts(address: string): Promise<void> {
    const connection = await open(address)
    expect(await connection.query('select 1')).toEqual([['1']])
    connection.end()
  }

  /** Which way the session is encrypted, as PostgreSQL sees it. */
  async function encryption(address: string): Promise<string | null | undefined> {
    const connection = await open(address)
    const rows = await connection.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    connection.end()
    return rows[0]?.[0]
  }

  async function refusal(address: string): Promise<{ code: string; text: string }> {
    const error = await open(address).then(
      () => new Error('accepted'),
      (reason: Error & { code: string; cause?: unknown }) => reason,
    )
    const code = 'code' in error ? error.code : error.message
    return { code, text: `${error.message} ${String(error.cause)} ${JSON.stringify(error)}` }
  }

  describe('passwords', () => {
    test.each(['scram_user', 'md5_user', 'trust_user'])(
      '%s gets in, with and without TLS',
      async (user) => {
        await accepts(url(user, 'sslmode=disable'))
        await accepts(url(user, 'sslmode=require'))
      },
    )

    test('a password in clear goes over TLS and unix sockets only', async () => {
      await accepts(url('tls_clear_user', 'sslmode=require'))
      await accepts(url('clear_user', 'sslmode=require'))
      const query = new URLSearchParams({ host: server.folder, port: String(server.port) })
      const secret = encodeURIComponent(PASSWORD)
      await accepts(`postgres://clear_user:${secret}@/postgres?${query.toString()}`)
      await accepts(`postgres://scram_user:${secret}@/postgres?${query.toString()}`)
      expect(await refusal(url('clear_user', 'sslmode=disable'))).toMatchObject({
        code: 'AUTHENTICATION_FAILED',
      })
    })

    test.each(['scram_user', 'md5_user', 'clear_user'])(
      '%s with the wrong password is refused, and it is not shown',
      async (user) => {
        const { code, text } = await refusal(
          url(user, 'sslmode=require', { password: 'wrong-horse' }),
        )
        expect(code).toBe('28P01')
        expect(text).not.toContain('wrong-horse')
      },
    )

    test('a missing password is named', async () => {
      const address = `postgres://scram_user@127.0.0.1:${server.port}/postgres`
      expect(await refusal(address)).toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        text: expect.stringContaining('DATABASE_URL has none'),
      })
    })

    test('unusual passwords are prepared as PostgreSQL prepares them', async () => {
      for (const [index, password] of UNUSUAL.entries()) {
        await accepts(url(`unusual_${index}`, 'sslmode=disable', { password }))
      }
    })

    test('a database that is not there is reported by its code', async () => {
      const address = `postgres://trust_user@127.0.0.1:${server.port}/nowhere`
      expect((await refusal(address)).code).toBe('3D000')
    })
  })

  describe('TLS', () => {
    test('is used wherever the server offers it, unless disabled', async () => {
      expect(await encryption(url('scram_user'))).toBe('t')
      expect(await encryption(url('scram_user', 'sslmode=prefer'))).toBe('t')
      expect(await encryption(url('scram_user', 'sslmode=allow'))).toBe('t')
      expect(await encryption(url('scram_user', 'sslmode=require'))).toBe('t')
      expect(await encryption(url('scram_user', 'sslmode=disable'))).toBe('f')
    })

    test('verify-full checks the name or the address that is connected to', async () => {
      const query = `sslmode=verify-full&sslrootcert=${authority.certificateFile}`
      expect(await encryption(url('scram_user', query, { host: 'localhost' }))).toBe('t')
      expect((await refusal(url('scram_user', query))).code).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    })

    test.skipIf(!hasIpv6())('verify-full checks an address of IPv6 (needs ::1)', async () => {
      const query = `sslmode=verify-full&sslrootcert=${authority.certificateFile}`
      expect(await encryption(url('scram_user', query, { host: '[::1]' }))).toBe('t')
    })

    test('verify-ca checks the authority only, and so does require once one is named', async () => {
      for (const mode of ['verify-ca', 'require']) {
        const query = `sslmode=${mode}&sslrootcert=`
        expect(await encryption(url('scram_user', query + authority.certificateFile))).toBe('t')
        const { code } = await refusal(url('scram_user', query + stranger.certificateFile))
        expect(code).toMatch(/CERT|VERIFY/)
      }
    })

    test('verify-full refuses another authority, and those that everybody knows', async () => {
      const options = { host: 'localhost' }
      const query = 'sslmode=verify-full&sslrootcert='
      for (const roots of [stranger.certificateFile, 'system']) {
        const { code } = await refusal(url('scram_user', query + roots, options))
        expect(code).toMatch(/CERT|VERIFY/)
      }
      expect((await refusal(url('scram_user', 'sslmode=verify-full', options))).code).toMatch(
        /CERT|VERIFY/,
      )
      expect((await refusal(url('scram_user', `${query}/no/such/file`, options))).code).toBe(
        'TLS_FILE',
      )
    })

    test('a certificate of the client proves who it is', async () => {
      const query = `sslmode=require&sslcert=${client.certificateFile}&sslkey=${client.keyFile}`
      await accepts(url('certified_user', query))
      expect((await refusal(url('certified_user', 'sslmode=require'))).code).toBe('28000')
    })

    test('statements run over TLS as they do without, with messages of every size', async () => {
      const connection = await open(url('scram_user', 'sslmode=require'))
      for (const length of [1, 16_000, 100_000, 1_000_000]) {
        const rows = await connection.query(`select repeat('x', ${length})`)
        expect(rows[0]?.[0]).toHaveLength(length)
      }
      connection.end()
    })
  })

  describe('channel binding', () => {
    test('is used when TLS is, and can be required or disabled', async () => {
      await accepts(url('scram_user', 'sslmode=require&channel_binding=require'))
      await accepts(url('scram_user', 'sslmode=require&channel_binding=disable'))
      await accepts(url('scram_user', 'sslmode=disable&channel_binding=prefer'))
      for (const [user, query] of [
        ['scram_user', 'sslmode=disable&channel_binding=require'],
        ['md5_user', 'sslmode=require&channel_binding=require'],
        ['trust_user', 'sslmode=require&channel_binding=require'],
        ['clear_user', 'sslmode=require&channel_binding=require'],
      ] as const) {
        expect((await refusal(url(user, query))).code).toBe('AUTHENTICATION_FAILED')
      }
    })

    test('works with certificates of each kind that names a hash function', async () => {
      const pss = await makeAuthority(folder, 'pss', [
        'rsa-pss',
        '-pkeyopt',
        'rsa_keygen_bits:2048',
      ])
      const curve = await makeAuthority(folder, 'curve', [
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
      ])
      const edwards = await makeAuthority(folder, 'edwards', ['ed25519'])
      const kinds = [
        await authority.issue('rsa-384', 'DNS:localhost', { digest: 'sha384' }),
        await authority.issue('rsa-512', 'DNS:localhost', { digest: 'sha512' }),
        await curve.issue('ecdsa-256', 'DNS:localhost', { digest: 'sha256' }),
        await curve.issue('ecdsa-384', 'DNS:localhost', { digest: 'sha384' }),
        await pss.issue('pss-256', 'DNS:localhost', { digest: 'sha256' }),
      ]
      for (const kind of kinds) {
        await server.serve(kind)
        await accepts(url('scram_user', 'sslmode=require&channel_binding=require'))
      }
      // Ed25519 has none: no binding, and so no way in where it is required.
      await server.serve(await edwards.issue('ed25519', 'DNS:localhost'))
      await accepts(url('scram_user', 'sslmode=require&channel_binding=prefer'))
      expect(
        (await refusal(url('scram_user', 'sslmode=require&channel_binding=require'))).code,
      ).toBe('AUTHENTICATION_FAILED')
      await server.serve(certificate)
    })
  })

  test.each(['sslmode=disable', 'sslmode=require'])(
    'a reset settles what is in flight with %s',
    async (query) => {
      const proxy = await startProxy(server.port, Number.POSITIVE_INFINITY, 0)
      const closed: Error[] = []
      const address = url('scram_user', query).replace(`:${server.port}/`, `:${proxy.port}/`)
      const connection = await open(address, { onClosed: (error) => closed.push(error) })
      const sleeping = [1, 2].map(() => codeOf(connection.query('select pg_sleep(30)')))
      proxy.reset()
      for (const code of await Promise.all(sleeping)) {
        expect(code).toMatch(/^(ECONNRESET|CONNECTION_CLOSED)$/)
      }
      expect(closed).toHaveLength(1)
      expect(connection.closed).toBe(true)
      proxy.close()
    },
  )

  describe('a byte that changes on the way', () => {
    /** What comes of a start in which a byte is changed: the answer to a query, or the code of the failure. */
    async function startThrough(query: string, at: number, bits: number): Promise<string> {
      const proxy = await startProxy(server.port, at, bits)
      const address = url('scram_user', query).replace(`:${server.port}/`, `:${proxy.port}/`)
      try {
        const connection = await open(address, { connectTimeoutMs: 2000, answerTimeoutMs: 2000 })
        const [[answer] = []] = await connection.query("select 'answer'")
        connection.end()
        return String(answer)
      } catch (error) {
        return error instanceof Error && 'code' in error ? String(error.code) : String(error)
      } finally {
        proxy.close()
      }
    }

    test.each(['sslmode=disable', 'sslmode=require'])(
      'never lets a start with %s hang',
      async (query) => {
        const seed = Date.now() % 1_000_000_000
        const random = randomBelow(seed)
        const attempts = Array.from({ length: 150 }, () => [random(400), 1 << random(8)] as const)
        const results: string[] = []
        const worker = async () => {
          for (let next = attempts.pop(); next; next = attempts.pop()) {
            results.push(await startThrough(query, ...next))
          }
        }
        await Promise.all(Array.from({ length: 10 }, worker))
        const known =
          /^(answer|PROTOCOL_VIOLATION|AUTHENTICATION_FAILED|CONNECT\w+|E[A-Z]+|ERR_\w+|[0-9A-Z]{5}|TLS_REFUSED)$/
        expect(
          results.filter((result) => !known.test(result)),
          `seed ${seed}`,
        ).toEqual([])
        expect(results).toHaveLength(150)
        expect(results.filter((result) => result !== 'answer').length).toBeGreaterThan(20)
      },
    )

    test('in the exchange of SCRAM is found out', async () => {
      // The proof of the server is the last message before it accepts us: 46 bytes, behind 9 of headers.
      const start = 9 + 4 + 'SCRAM-SHA-256\0\0'.length - 4
      for (let at = start; at < start + 9 + 84 + 9 + 46; at += 7) {
        expect(await startThrough('sslmode=disable', at, 1)).not.toBe('answer')
      }
    })
  })
})
