// Runs in every process that talks to PostgreSQL. Proves who we are, by whichever method PostgreSQL asks for.
import { createHash } from 'node:crypto'
import { ConnectionError, readReport, violation } from './error.ts'
import type { Mailbox } from './mailbox.ts'
import { MESSAGE, readCstrings, readInt32 } from './protocol.ts'
import { type Binding, endPointOf, type Scram, startScram } from './scram.ts'
import { cstring, message } from './statement.ts'

/** Kinds of authentication messages. */
const OK = 0
const CLEARTEXT = 3
const MD5 = 5
const SASL = 10
const SASL_CONTINUE = 11
const SASL_FINAL = 12

const SALT_BYTES = 4
const PLAIN_MECHANISM = 'SCRAM-SHA-256'
const BOUND_MECHANISM = 'SCRAM-SHA-256-PLUS'
const MECHANISMS_MAX = 16

export interface Credentials {
  user: string
  password: (() => string) | undefined
  channelBinding: 'disable' | 'prefer' | 'require'
}

/** What is known of the way to the server. */
export interface Channel {
  encrypted: boolean
  local: boolean
  certificate: Buffer | undefined
}

interface Exchange {
  mailbox: Mailbox
  send: (bytes: Buffer) => void
  credentials: Credentials
  channel: Channel
}

/** Resolves when PostgreSQL has accepted us. */
export async function authenticate(exchange: Exchange): Promise<void> {
  const { kind, body } = await nextRequest(exchange.mailbox)
  const bindingNeeded = exchange.credentials.channelBinding === 'require'
  if (bindingNeeded && kind !== SASL) {
    throw refusal('PostgreSQL offers no channel binding, and channel_binding is "require"')
  }
  switch (kind) {
    case OK:
      if (body.length !== 0) throw violation('PostgreSQL sent a malformed authentication message')
      return
    case CLEARTEXT:
      sendCleartext(exchange)
      break
    case MD5:
      sendMd5(exchange, body)
      break
    case SASL:
      await runScram(exchange, body)
      break
    default:
      throw refusal(`PostgreSQL asks for authentication ${kind}, which is not supported`)
  }
  const end = await nextRequest(exchange.mailbox)
  if (end.kind !== OK || end.body.length !== 0) throw outOfOrder()
}

async function nextRequest(mailbox: Mailbox): Promise<{ kind: number; body: Buffer }> {
  const { code, body } = await mailbox.next()
  if (code === MESSAGE.ERROR) throw readReport(body, 0, body.length)
  if (code === MESSAGE.NOTICE) {
    readReport(body, 0, body.length)
    return nextRequest(mailbox)
  }
  if (code !== MESSAGE.AUTHENTICATION || body.length < 4) throw outOfOrder()
  return { kind: readInt32(body, 0), body: body.subarray(4) }
}

/** Anybody between us and the server could read it. */
function sendCleartext({ send, credentials, channel }: Exchange): void {
  if (!channel.encrypted && !channel.local) {
    throw refusal('PostgreSQL asks for the password in clear, over a connection without TLS')
  }
  send(message('p', cstring(passwordOf(credentials))))
}

function sendMd5({ send, credentials }: Exchange, salt: Buffer): void {
  if (salt.length !== SALT_BYTES) throw violation('PostgreSQL sent a malformed salt')
  const inner = md5(Buffer.from(passwordOf(credentials) + credentials.user))
  send(message('p', cstring(`md5${md5(Buffer.concat([Buffer.from(inner), salt]))}`)))
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex')
}

async function runScram(exchange: Exchange, offer: Buffer): Promise<void> {
  const { mailbox, send, credentials } = exchange
  const { mechanism, binding } = chooseMechanism(exchange, readMechanisms(offer))
  const scram = startScram(passwordOf(credentials), binding)
  send(message('p', cstring(mechanism), int32(Buffer.byteLength(scram.first)), text(scram.first)))
  await continueScram(mailbox, send, scram)
}

async function continueScram(
  mailbox: Mailbox,
  send: (bytes: Buffer) => void,
  scram: Scram,
): Promise<void> {
  const first = await nextRequest(mailbox)
  if (first.kind !== SASL_CONTINUE) throw outOfOrder()
  send(message('p', text(await scram.answer(first.body.toString('latin1')))))
  const final = await nextRequest(mailbox)
  if (final.kind !== SASL_FINAL) throw outOfOrder()
  scram.verify(final.body.toString('latin1'))
}

/** Names, each with a zero behind it, and one more zero. */
function readMechanisms(body: Buffer): string[] {
  for (let count = 1; count <= MECHANISMS_MAX; count += 1) {
    const names = readCstrings(body, 0, body.length - 1, count)
    if (names) return names
  }
  throw violation('PostgreSQL sent a malformed list of mechanisms')
}

function chooseMechanism(
  { credentials, channel }: Exchange,
  offered: string[],
): { mechanism: string; binding: Binding } {
  const wanted = credentials.channelBinding !== 'disable' && channel.encrypted
  const bindingOffered = offered.includes(BOUND_MECHANISM)
  const endPoint = wanted && channel.certificate ? endPointOf(channel.certificate) : undefined
  if (endPoint && bindingOffered) {
    const binding: Binding = { flag: 'p=tls-server-end-point', data: endPoint }
    return { mechanism: BOUND_MECHANISM, binding }
  }
  if (credentials.channelBinding === 'require') {
    throw refusal('PostgreSQL offers no channel binding, and channel_binding is "require"')
  }
  if (!offered.includes(PLAIN_MECHANISM)) {
    throw refusal('PostgreSQL offers no SASL mechanism that is supported')
  }
  // "y" lets a server that did offer it find out that somebody in between has taken it out.
  const flag = endPoint ? 'y' : 'n'
  return { mechanism: PLAIN_MECHANISM, binding: { flag, data: Buffer.alloc(0) } }
}

function passwordOf({ password }: Credentials): string {
  if (!password) throw refusal('PostgreSQL asks for a password, and DATABASE_URL has none')
  return password()
}

function text(value: string): Buffer {
  return Buffer.from(value)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function outOfOrder(): ConnectionError {
  return violation('PostgreSQL did not answer to the authentication')
}

function refusal(reason: string): ConnectionError {
  return new ConnectionError('AUTHENTICATION_FAILED', reason)
}
