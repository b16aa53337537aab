import { userInfo } from 'node:os'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Address, readAddress, socketPath } from '../../src/db/address.ts'

type Expected = Partial<Omit<Address, 'password'>> & { password?: string | undefined }

function read(url: string): Expected {
  const { password, ...rest } = readAddress(url)
  return { ...rest, password: password?.() }
}

const prefer = { mode: 'prefer' }

describe('DATABASE_URL is understood as', () => {
  test.each<[string, string, object]>([
    [
      'docker compose has it',
      'postgres://app:secret@db:5432/app',
      {
        hosts: [{ name: 'db', port: 5432 }],
        user: 'app',
        password: 'secret',
        database: 'app',
        tls: prefer,
        channelBinding: 'prefer',
        targetSession: 'read-write',
        ignored: [],
      },
    ],
    [
      'Neon has it',
      'postgresql://neondb_owner:npg_a1B2@ep-cool-name-a1b2c3-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require',
      {
        hosts: [{ name: 'ep-cool-name-a1b2c3-pooler.eu-central-1.aws.neon.tech', port: 5432 }],
        tls: { mode: 'require' },
        channelBinding: 'require',
      },
    ],
    [
      'Neon has it for clients without SNI',
      'postgres://u:p@host.neon.tech/db?sslmode=verify-full&options=endpoint%3Dep-cool-123',
      { options: 'endpoint=ep-cool-123', tls: { mode: 'verify-full' } },
    ],
    [
      'Supabase has it for Prisma',
      'postgresql://postgres.abcdefgh:p%40ss%2Fword@aws-0-eu-west-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1',
      {
        hosts: [{ name: 'aws-0-eu-west-1.pooler.supabase.com', port: 6543 }],
        user: 'postgres.abcdefgh',
        password: 'p@ss/word',
        ignored: ['pgbouncer', 'connection_limit'],
      },
    ],
    [
      'Azure has it',
      'postgres://admin%40server:pw@server.postgres.database.azure.com:5432/postgres?sslmode=require',
      { user: 'admin@server', tls: { mode: 'require' } },
    ],
    [
      'RDS has it',
      'postgresql://app:pw@db.abc.eu-west-1.rds.amazonaws.com/app?sslmode=verify-full&sslrootcert=/etc/ssl/rds.pem&connect_timeout=10',
      {
        tls: { mode: 'verify-full', rootCertificates: '/etc/ssl/rds.pem' },
        connectTimeoutMs: 10_000,
      },
    ],
    [
      'Heroku has it',
      'postgres://uabc:p0123@ec2-1-2-3-4.eu-west-1.compute.amazonaws.com:5432/d1234',
      { user: 'uabc', database: 'd1234', tls: prefer },
    ],
    [
      'a list of hosts',
      'postgresql://u@one,two:5433,[::1]:5434,10.0.0.1/d?target_session_attrs=read-write',
      {
        hosts: [
          { name: 'one', port: 5432 },
          { name: 'two', port: 5433 },
          { name: '::1', port: 5434 },
          { name: '10.0.0.1', port: 5432 },
        ],
        targetSession: 'read-write',
      },
    ],
    [
      'a server that only reads may be asked for',
      'postgres://u@one,two/d?target_session_attrs=any',
      { targetSession: 'any' },
    ],
    [
      'a list of hosts as a parameter',
      'postgresql:///d?user=u&host=one,/run/pg,::1&port=1,2,3',
      {
        hosts: [
          { name: 'one', port: 1 },
          { name: '/run/pg', port: 2 },
          { name: '::1', port: 3 },
        ],
      },
    ],
    [
      'a socket',
      'postgres://u@%2Fvar%2Frun%2Fpostgresql/d',
      { hosts: [{ name: '/var/run/postgresql', port: 5432 }] },
    ],
    [
      'a socket with a port',
      'postgres://u:p@%2Frun:6432/d',
      { hosts: [{ name: '/run', port: 6432 }], password: 'p' },
    ],
    [
      'a socket as a parameter',
      'postgresql:///d?host=/run/pg&port=5433&user=u',
      { hosts: [{ name: '/run/pg', port: 5433 }], database: 'd', user: 'u' },
    ],
    [
      'no host at all',
      'postgresql:///d',
      { hosts: [{ name: 'localhost', port: 5432 }], user: userInfo().username },
    ],
    ['no database', 'postgres://u@h', { database: 'u' }],
    ['a database by parameter', 'postgres://u@h/a?dbname=b%20c', { database: 'b c' }],
    [
      'encoded names',
      'postgres://u%20x:%25%23%C3%A9@h/d%2Fx',
      { user: 'u x', password: '%#é', database: 'd/x' },
    ],
    [
      'an @ in the password',
      'postgres://u:p@ss@h/d',
      { password: 'p@ss', hosts: [{ name: 'h', port: 5432 }] },
    ],
    ['a plus that is a plus', 'postgres://h/d?user=u&password=a+b', { password: 'a+b' }],
    ['an empty password', 'postgres://u:@h/d', { password: undefined }],
    ['ssl as JDBC has it', 'postgres://u@h/d?ssl=true', { tls: { mode: 'require' } }],
    ['allow, which asks for less', 'postgres://u@h/d?sslmode=allow', { tls: prefer }],
    [
      'require with an authority',
      'postgres://u@h/d?sslmode=require&sslrootcert=/ca',
      { tls: { mode: 'verify-ca', rootCertificates: '/ca' } },
    ],
    [
      'the authorities of the system',
      'postgres://u@h/d?sslrootcert=system',
      { tls: { mode: 'verify-full', rootCertificates: 'system' } },
    ],
    [
      'certificates of the client',
      'postgres://u@h/d?sslmode=require&sslcert=/c&sslkey=/k',
      { tls: { mode: 'require', certificateFile: '/c', keyFile: '/k' } },
    ],
    [
      'names for people',
      'postgres://u@h/d?application_name=my%20app',
      { applicationName: 'my app' },
    ],
    [
      'harmless wishes',
      'postgres://u@h/d?schema=public&keepalives=1&client_encoding=utf8&sslnegotiation=postgres',
      { ignored: ['keepalives'] },
    ],
  ])('%s', (_, url, expected) => {
    expect(read(url)).toMatchObject(expected)
  })
})

describe('DATABASE_URL is refused, with the reason,', () => {
  test.each([
    ['mysql://u@h/d', 'does not begin with postgres://'],
    ['postgres://u:p#w@h/d', '%23'],
    ['postgres://u:p w@h/d', '%20'],
    ['postgres://u:12/34@h/d', 'must be percent-encoded'],
    ['postgres://u:12?sec=ret@h/d', 'must be percent-encoded'],
    ['postgres://u:12?se-cret@h/d', 'must be percent-encoded'],
    ['postgres://u@h:0/d', 'host or port'],
    ['postgres://u@h:65536/d', 'host or port'],
    ['postgres://u@h:x/d', 'host or port'],
    ['postgres://u@a,b:1,c/d?port=1,2', 'number of ports'],
    ['postgres://u@-h/d', 'host or port'],
    ['postgres://u@h%00/d', 'host or port'],
    ['postgres://u@[::g]/d', 'host or port'],
    ['postgres://u@h/%zz', 'database'],
    [`postgres://u@%2F${'x'.repeat(100)}/d`, 'too long'],
    ['postgres://u@h/d?schema=app', 'search_path'],
    ['postgres://u@h/d?statement_timeout=5', 'statement_timeout'],
    ['postgres://u@h/d?search_path=app', 'search_path'],
    ['postgres://u@h/d?require_auth=md5', 'require_auth'],
    ['postgres://u@h/d?sslcrl=/x', 'sslcrl'],
    ['postgres://u@h/d?ssl_min_protocol_version=TLSv1.3', 'ssl_min_protocol_version'],
    ['postgres://u@h/d?service=x', 'service'],
    ['postgres://u@h/d?replication=database', 'replication'],
    ['postgres://u@h/d?client_encoding=LATIN1', 'UTF8'],
    ['postgres://u@h/d?sslnegotiation=direct', 'sslnegotiation'],
    ['postgres://u@h/d?gssencmode=require', 'gssencmode'],
    ['postgres://u@h/d?sslmode=no-verify', 'sslmode must be one of'],
    ['postgres://u@h/d?sslmode=verify-ca', 'sslrootcert'],
    ['postgres://u@h/d?sslmode=require&sslrootcert=system', 'verify-full'],
    ['postgres://u@h/d?sslcert=/c', 'need each other'],
    ['postgres://u@h/d?channel_binding=maybe', 'channel_binding'],
    ['postgres://u@h/d?target_session_attrs=standby', 'target_session_attrs'],
    ['postgres://u@h/d?connect_timeout=soon', 'connect_timeout'],
    ['postgres://u%00@h/d', 'NUL'],
  ])('%s', (url, reason) => {
    expect(() => readAddress(url)).toThrow(reason)
  })
})

test('the password is in no error and in nothing that is printed', () => {
  const secret = 'hunter2'
  const urls = ['', '?sslmode=x', '?what=1', ':x', '/%zz', '?connect_timeout=x', '#'].map(
    (rest) => `postgres://u:${secret}@h${rest}`,
  )
  // Passwords that are not percent-encoded fall into host, port, path or parameters.
  urls.push(
    `postgres://u:${secret}/x@h/d`,
    `postgres://u:${secret}?x@h/d`,
    `postgres://u:1?${secret}@h/d`,
    `postgres://u:1?a=1&${secret}=2@h/d`,
    `postgres://u:1?sslmode=${secret}@h/d`,
    `postgres://u:${secret}[x@h/d`,
    `postgres://u:%zz${secret}@h:x/d`,
  )
  let refused = 0
  for (const url of urls) {
    try {
      const address = readAddress(url)
      expect(inspect(address) + JSON.stringify(address)).not.toContain(secret)
    } catch (error) {
      refused += 1
      expect(inspect(error, { depth: 9 })).not.toContain(`:${secret}`)
      expect(String(error)).not.toContain(secret)
    }
  }
  expect(refused).toBeGreaterThan(10)
})

test('a socket has a path, a host has none', () => {
  expect(socketPath({ name: '/run/pg/', port: 5433 })).toBe('/run/pg/.s.PGSQL.5433')
  expect(socketPath({ name: 'h', port: 5433 })).toBe(undefined)
})
