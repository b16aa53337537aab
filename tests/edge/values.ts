// What stands for `{…}` in the bytes of a case: tokens, good and bad, and the ids of a run.
import { createHmac } from 'node:crypto'
import { JWT_SECRET } from '../support/service.ts'

export type Values = ReadonlyMap<string, string>

/** @param token a token that the service has made */
export function valuesFor(token: string, ids: Readonly<Record<string, string>>): Values {
  return new Map([['token', token], ...Object.entries(forgeries(token)), ...Object.entries(ids)])
}

/**
 * `{unique}` is eight characters, and so is what stands for it: lengths stay right. `{rest}` is the length of all that
 * follows the first head.
 */
export function fill(bytes: string, values: Values): Buffer {
  const filled = bytes.replace(/\{([a-z]+)\}/g, (whole, name: string) =>
    name === 'unique' ? nextUnique() : (values.get(name) ?? whole),
  )
  const rest = filled.length - filled.indexOf('\r\n\r\n') - 4
  return Buffer.from(filled.replaceAll('{rest}', String(rest)), 'latin1')
}

let counter = 0

function nextUnique(): string {
  counter += 1
  return `u${String(counter).padStart(7, '0')}`
}

/** Tokens made of a good one, each wrong in one way. */
function forgeries(token: string): Record<string, string> {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const claims: object = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const nowSeconds = Math.floor(Date.now() / 1000)
  const signed = (changes: object) => sign(header, { ...claims, ...changes }, JWT_SECRET)
  const flipped = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`
  const unsigned = encode({ alg: 'none', typ: 'JWT' })
  return {
    expired: signed({ iat: nowSeconds - 7200, exp: nowSeconds - 3600 }),
    endless: signed({ exp: undefined }),
    undated: signed({ iat: undefined }),
    nobody: signed({ sub: undefined }),
    number: signed({ sub: 1 }),
    stranger: signed({ sub: 'not a uuid' }),
    otherkey: sign(header, claims, 'another secret of 32 bytes or more'),
    flipped: `${header}.${payload}.${flipped}`,
    stolen: `${header}.${encode({ ...claims, sub: crypto.randomUUID() })}.${signature}`,
    unsigned: `${unsigned}.${payload}.`,
    halfsigned: `${unsigned}.${payload}.${signature}`,
    confused: sign(encode({ alg: 'HS512', typ: 'JWT' }), claims, JWT_SECRET),
    cut: `${header}.${payload}`,
  }
}

function sign(header: string, claims: object, key: string): string {
  const text = `${header}.${encode(claims)}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
