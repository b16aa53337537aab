// Runs in every process that talks to PostgreSQL. SCRAM-SHA-256 (RFC 5802, 7677), the client's side, with or without
// binding to the TLS channel.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { ConnectionError, violation } from './error.ts'

const NONCE_BYTES = 18
const KEY_BYTES = 32
/** More would let a server keep our CPUs busy; PostgreSQL's default is 4 096. */
const ITERATIONS_MAX = 1_000_000
const SALT_BYTES_MAX = 1024
const SERVER_FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,6})$/
const SERVER_FINAL = /^v=([A-Za-z0-9+/]+={0,2})$/

const deriveKey = promisify(pbkdf2)

/** How the exchange is bound to the channel below it. */
export interface Binding {
  /** `n`: we cannot; `y`: we could, and the server did not offer it; else the name of the binding. */
  flag: 'n' | 'y' | 'p=tls-server-end-point'
  data: Buffer
}

export interface Scram {
  first: string
  /** The client's answer to the server's first message. */
  answer(serverFirst: string): Promise<string>
  /** Throws unless the server has proved that it knows the password as well. */
  verify(serverFinal: string): void
}

export function startScram(
  password: string,
  binding: Binding,
  nonce: string = randomBytes(NONCE_BYTES).toString('base64'),
): Scram {
  const header = `${binding.flag},,`
  // PostgreSQL takes the user from the start-up message.
  const bare = `n=,r=${nonce}`
  let serverSignature: Buffer | undefined

  async function answer(serverFirst: string): Promise<string> {
    const [, serverNonce = '', saltText = '', iterationText = ''] =
      SERVER_FIRST.exec(serverFirst) ?? []
    const salt = Buffer.from(saltText, 'base64')
    const iterations = Number(iterationText)
    if (!serverNonce.startsWith(nonce) || serverNonce.length === nonce.length) {
      throw violation('PostgreSQL sent a malformed SCRAM message')
    }
    if (salt.length > SALT_BYTES_MAX || iterations > ITERATIONS_MAX) {
      throw violation('PostgreSQL asks for too much work in SCRAM')
    }
    const channel = Buffer.concat([Buffer.from(header), binding.data]).toString('base64')
    const withoutProof = `c=${channel},r=${serverNonce}`
    const message = `${bare},${serverFirst},${withoutProof}`
    const salted = await deriveKey(prepareText(password), salt, iterations, KEY_BYTES, 'sha256')
    const clientKey = sign(salted, 'Client Key')
    const signature = sign(createHash('sha256').update(clientKey).digest(), message)
    serverSignature = sign(sign(salted, 'Server Key'), message)
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
    return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
  }

  function verify(serverFinal: string): void {
    const claimed = Buffer.from(SERVER_FINAL.exec(serverFinal)?.[1] ?? '', 'base64')
    if (serverSignature?.length !== claimed.length || !timingSafeEqual(serverSignature, claimed)) {
      throw new ConnectionError(
        'AUTHENTICATION_FAILED',
        'The server does not know the password: it is not the one it claims to be',
      )
    }
  }

  return { first: `${header}${bare}`, answer, verify }
}

function sign(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Characters that SASLprep (RFC 4013) drops, and spaces it makes equal. */
const DROPPED =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200c\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g
/** Characters that it forbids; PostgreSQL then takes the password as it is. */
const FORBIDDEN =
  /[\p{Cc}\p{Co}\p{Cs}\p{Cn}\u2028\u2029\u200e\u200f\u202a-\u202e\u206a-\u206f\ufff9-\ufffd]/u

/** What PostgreSQL hashes. Bidirectional text and characters younger than Unicode 3.2 are not looked at. */
function prepareText(password: string): string {
  const prepared = password.replace(SPACES, ' ').replace(DROPPED, '').normalize('NFKC')
  return prepared === '' || FORBIDDEN.test(prepared) ? password : prepared
}

/** Hash functions by the end of the OID of a certificate's signature, in hexadecimal. */
const SIGNATURE_HASHES = new Map([
  // RSA: MD5 and SHA-1 are replaced by SHA-256 (RFC 5929).
  ['2a864886f70d010104', 'sha256'],
  ['2a864886f70d010105', 'sha256'],
  ['2a864886f70d01010e', 'sha224'],
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  // ECDSA
  ['2a8648ce3d0401', 'sha256'],
  ['2a8648ce3d040301', 'sha224'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
])
/** RSASSA-PSS names its hash function among its parameters. */
const PSS = '2a864886f70d01010a'
const PSS_HASH = /0609608648016503040(20[123])/
const PSS_HASHES = new Map([
  ['201', 'sha256'],
  ['202', 'sha384'],
  ['203', 'sha512'],
])

/** `tls-server-end-point` of a certificate (DER), or `undefined` when its signature names no hash function. */
export function endPointOf(certificate: Buffer): Buffer | undefined {
  const algorithm = signatureAlgorithm(certificate)
  const oidBytes = algorithm[1] ?? 0
  const oid = algorithm.toString('hex', 2, 2 + oidBytes)
  const inParameters = PSS_HASH.exec(algorithm.toString('hex'))?.[1] ?? ''
  const hash = oid === PSS ? PSS_HASHES.get(inParameters) : SIGNATURE_HASHES.get(oid)
  return hash ? createHash(hash).update(certificate).digest() : undefined
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature }: the inside of the second. */
function signatureAlgorithm(certificate: Buffer): Buffer {
  const inside = derBody(certificate, 0)
  const first = derBody(certificate, inside.start)
  const second = derBody(certificate, first.end)
  return certificate.subarray(second.start, second.end)
}

function derBody(bytes: Buffer, at: number): { start: number; end: number } {
  const short = bytes.readUInt8(at + 1)
  if (short < 0x80) return { start: at + 2, end: at + 2 + short }
  const lengthBytes = short & 0x7f
  const start = at + 2 + lengthBytes
  return { start, end: start + bytes.readUIntBE(at + 2, lengthBytes) }
}
