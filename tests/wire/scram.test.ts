import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { authenticate } from '../../src/db/wire/auth.ts'
import { Mailbox } from '../../src/db/wire/mailbox.ts'
import { endPointOf, startScram } from '../../src/db/wire/scram.ts'
import { codeOf } from './conversations.ts'
import { tagged } from './scripted-server.ts'

const PASSWORD = 'pencil'
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const ITERATIONS = 4096
const NO_BINDING = { flag: 'n' as const, data: Buffer.alloc(0) }

type Tampering = Partial<Record<'first' | 'final' | 'mechanisms' | 'end', Buffer[]>>

/** Plays the server's part, written against RFC 5802, as far as `tampering` does not replace it. */
async function authenticateWith(
  password: string | undefined,
  tampering: Tampering = {},
  options: { encrypted?: boolean; channelBinding?: 'disable' | 'prefer' | 'require' } = {},
): Promise<string[]> {
  const mailbox = new Mailbox()
  const sent: Buffer[] = []
  const put = (messages: Buffer[]) => {
    for (const message of messages) mailbox.put(message[0] ?? 0, message, 5, message.length)
  }
  let clientFirst = ''
  let serverFirst = ''
  const send = (bytes: Buffer) => {
    sent.push(bytes)
    const text = bytes.toString('latin1', 5)
    if (sent.length === 1) {
      clientFirst = text.slice(text.indexOf('n=,r='))
      serverFirst = `r=${clientFirst.slice(5)}SERVER,s=${SALT.toString('base64')},i=${ITERATIONS}`
      put(tampering.first ?? [sasl(11, serverFirst)])
    } else {
      const message = `${clientFirst},${serverFirst},${text.slice(0, text.indexOf(',p='))}`
      put(tampering.final ?? [sasl(12, `v=${signatureOf(message)}`)])
      put(tampering.end ?? [sasl(0)])
    }
  }
  put(tampering.mechanisms ?? [sasl(10, 'SCRAM-SHA-256\0\0')])
  // A server that says nothing more has hung up.
  const hangUp = setTimeout(() => mailbox.fail(new Error('hung up')), 500)
  try {
    await authenticate({
      mailbox,
      send,
      credentials: {
        user: 'user',
        password: password === undefined ? undefined : () => password,
        channelBinding: options.channelBinding ?? 'prefer',
      },
      channel: { encrypted: options.encrypted ?? false, local: false, certificate: undefined },
    })
  } finally {
    clearTimeout(hangUp)
  }
  return sent.map((bytes) => bytes.toString('latin1'))
}

function sasl(kind: number, text = ''): Buffer {
  const header = Buffer.alloc(4)
  header.writeInt32BE(kind)
  return tagged('R', Buffer.concat([header, Buffer.from(text)]))
}

function signatureOf(message: string): string {
  const salted = pbkdf2Sync(PASSWORD, SALT, ITERATIONS, 32, 'sha256')
  const key = createHmac('sha256', salted).update('Server Key').digest()
  return createHmac('sha256', key).update(message).digest('base64')
}

describe('SCRAM', () => {
  test('succeeds with a server that knows the password, and never sends it', async () => {
    const sent = await authenticateWith(PASSWORD)
    expect(sent).toHaveLength(2)
    expect(sent.join('')).not.toContain(PASSWORD)
  })

  test('computes the proof of RFC 7677', async () => {
    // The RFC names a user in the message, PostgreSQL's clients do not: so the proof is computed here once more.
    const scram = startScram(PASSWORD, NO_BINDING, 'rOprNGfwEbeRWgbNEkqO')
    const first =
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
    const answer = await scram.answer(first)
    const withoutProof = answer.slice(0, answer.indexOf(',p='))
    const message = `n=,r=rOprNGfwEbeRWgbNEkqO,${first},${withoutProof}`
    const salted = pbkdf2Sync(PASSWORD, SALT, ITERATIONS, 32, 'sha256')
    const clientKey = createHmac('sha256', salted).update('Client Key').digest()
    const stored = createHash('sha256').update(clientKey).digest()
    const signature = createHmac('sha256', stored).update(message).digest()
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)))
    expect(answer).toBe(`${withoutProof},p=${proof.toString('base64')}`)
  })

  const fine = `s=${SALT.toString('base64')},i=${ITERATIONS}`
  test.each<[string, string, Tampering]>([
    ['skips its proof', 'PROTOCOL_VIOLATION', { final: [] }],
    ['skips the exchange', 'PROTOCOL_VIOLATION', { first: [sasl(0)] }],
    [
      'proves something else',
      'AUTHENTICATION_FAILED',
      { final: [sasl(12, `v=${signatureOf('x')}`)] },
    ],
    ['proves nothing', 'AUTHENTICATION_FAILED', { final: [sasl(12, 'v=')] }],
    [
      'reports an error as its proof',
      'AUTHENTICATION_FAILED',
      { final: [sasl(12, 'e=other-error')] },
    ],
    [
      'begins anew instead of ending',
      'PROTOCOL_VIOLATION',
      { end: [sasl(10, 'SCRAM-SHA-256\0\0')] },
    ],
    ['asks for the password in clear at the end', 'PROTOCOL_VIOLATION', { end: [sasl(3)] }],
    ['forgets our nonce', 'PROTOCOL_VIOLATION', { first: [sasl(11, `r=abc,${fine}`)] }],
    ['sends no nonce', 'PROTOCOL_VIOLATION', { first: [sasl(11, fine)] }],
    ['wants an extension', 'PROTOCOL_VIOLATION', { first: [sasl(11, `m=x,r=abc,${fine}`)] }],
    ['is ready too early', 'PROTOCOL_VIOLATION', { first: [tagged('Z', Buffer.from('I'))] }],
    [
      'offers nothing that we know',
      'AUTHENTICATION_FAILED',
      { mechanisms: [sasl(10, 'PLAIN\0\0')] },
    ],
    ['offers without an end', 'PROTOCOL_VIOLATION', { mechanisms: [sasl(10, 'SCRAM-SHA-256')] }],
    ['asks for Kerberos', 'AUTHENTICATION_FAILED', { mechanisms: [sasl(7)] }],
    ['asks for the password in clear', 'AUTHENTICATION_FAILED', { mechanisms: [sasl(3)] }],
    ['sends a salt that is too short', 'PROTOCOL_VIOLATION', { mechanisms: [sasl(5, 'abc')] }],
    ['says yes with something behind it', 'PROTOCOL_VIOLATION', { mechanisms: [sasl(0, 'x')] }],
    ['sends half a message', 'PROTOCOL_VIOLATION', { mechanisms: [tagged('R', Buffer.alloc(2))] }],
  ])('refuses a server that %s', async (_, code, tampering) => {
    expect(await codeOf(authenticateWith(PASSWORD, tampering))).toBe(code)
  })

  test('refuses a server that would keep us computing', async () => {
    const nonce = 'abc'
    const scram = startScram(PASSWORD, NO_BINDING, nonce)
    const first = `r=${nonce}S,s=${SALT.toString('base64')},i=9999999`
    expect(await codeOf(scram.answer(first))).toBe('PROTOCOL_VIOLATION')
  })

  test('does not verify a server before there was an exchange', () => {
    const scram = startScram(PASSWORD, NO_BINDING, 'abc')
    expect(() => scram.verify('v=')).toThrow('not the one')
    expect(() => scram.verify(`v=${signatureOf('x')}`)).toThrow('not the one')
  })

  test('does not go without binding where it is required', async () => {
    const required = { channelBinding: 'require' as const, encrypted: true }
    for (const mechanisms of [[sasl(0)], [sasl(5, 'salt')], [sasl(10, 'SCRAM-SHA-256\0\0')]]) {
      const attempt = authenticateWith(PASSWORD, { mechanisms }, required)
      expect(await codeOf(attempt)).toBe('AUTHENTICATION_FAILED')
    }
  })

  test('names a missing password', async () => {
    await expect(authenticateWith(undefined)).rejects.toThrow('DATABASE_URL has none')
  })
})

test('what is no certificate has no end point', () => {
  expect(() => endPointOf(Buffer.from('30'))).toThrow(RangeError)
})
